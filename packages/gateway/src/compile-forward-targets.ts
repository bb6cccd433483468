import { Secret } from '@sallyport/sdk';
import type { GatewayConfig } from './config/schema.js';
import type { ForwardTarget } from './pipeline/forward-targets.js';
import { canonicalHost } from './policy/canonical-host.js';
import { parseNetwork } from './policy/network.js';
import { upstreamTrust } from './tls/trust.js';
import type { DialSettings } from './upstream/dial.js';
import { OriginPool, type PoolLimits } from './upstream/origin-pool.js';

/** The operator named these very hosts: an address inside is what they are for. */
const anywhere = ['0.0.0.0/0', '::/0'].map(parseNetwork);

/** Compiles the forward targets: each has connections of its own, with TLS 1.3 and its own time limit. */
export async function compileForwardTargets(
  { forward_targets: configured, upstream }: GatewayConfig,
  limits: PoolLimits,
  settings: Omit<DialSettings, 'sessions'>,
): Promise<Map<string, ForwardTarget>> {
  const targets = new Map<string, ForwardTarget>();
  if (Object.keys(configured).length === 0) return targets;
  const { secureContext } = await upstreamTrust({ ca: upstream.ca, minVersion: 'TLSv1.3' });
  for (const [name, { url: written, timeout, auth }] of Object.entries(configured)) {
    const url = new URL(written);
    const tls = url.protocol === 'https:';
    const token = auth.type === 'bearer' ? auth.token.reveal() : null;
    const target = {
      name,
      target: {
        tls,
        host: canonicalHost(url.hostname.replace(/^\[|\]$/g, '')).text,
        port: Number(url.port) || (tls ? 443 : 80),
        permits: anywhere,
      },
      pool: new OriginPool(limits, {
        ...settings,
        secureContext,
        timeouts: { ...settings.timeouts, responseHead: timeout },
      }),
      pathAndQuery: `${url.pathname}${url.search}`,
      injectedHeaders: token === null ? [] : ['authorization'],
      secrets: token === null ? [] : [new Secret(token)],
    };
    targets.set(
      name,
      withHidden(target, { lines: token === null ? '' : `Authorization: Bearer ${token}\r\n`, values: token === null ? [] : [token] }),
    );
  }
  return targets;
}

/** Adds properties that nothing prints: what is in them is secret. */
function withHidden<T extends object, H extends object>(target: T, hidden: H): T & H {
  for (const [name, value] of Object.entries(hidden)) Object.defineProperty(target, name, { value });
  return target as T & H;
}
