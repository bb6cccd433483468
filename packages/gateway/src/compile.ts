import { Credential, envSource, fileSource, processSource, type Source, staticSource } from '@sallyport/credentials';
import { LRUCache } from 'lru-cache';
import { compileForwardTargets } from './compile-forward-targets.js';
import { compilePlugin, type PluginMeans } from './compile-plugin.js';
import { type Belongings, compileProviders, type ProviderMeans } from './compile-providers.js';
import type { GatewayConfig, SourceConfig } from './config/schema.js';
import type { Caller } from './exchange.js';
import { Binding, BindingTable } from './pipeline/bindings.js';
import { CallerRegistry, digestToken } from './pipeline/callers.js';
import { Runtime, type RuntimeParts } from './pipeline/runtime.js';
import { makePlacement } from './placements/make-placement.js';
import { parseHostPattern } from './policy/host-pattern.js';
import { compilePolicy } from './policy/policy.js';
import { countedSource } from './providers/counted-source.js';
import { openGrant } from './providers/open-grant.js';
import { compileCertificatePattern } from './tls/mutual/certificate-pattern.js';
import { upstreamTrust } from './tls/trust.js';
import type { DialSettings } from './upstream/dial.js';
import { OriginPool } from './upstream/origin-pool.js';

/** What outlives a configuration: a reload compiles a new runtime around the same of these. */
export interface Lasting extends Pick<RuntimeParts, 'leaves' | 'recorder' | 'throttle' | 'tunnels'>, PluginMeans, ProviderMeans {
  /** Callers that are registered at run time. */
  readonly runs: CallerRegistry;
}

const TUNNEL_SESSIONS = 1;

/**
 * Compiles a valid configuration: rules and bindings into tables, tokens into digests, sources, grants and providers into credentials. Errors:
 * `config_invalid`, `config_not_found`, `plugin_load_failed`.
 */
export async function compile(config: GatewayConfig, lasting: Lasting): Promise<Runtime> {
  const belongings = new Set<() => void>();
  const release = (): void => {
    for (const letGo of belongings) letGo();
  };
  try {
    return new Runtime({ ...(await compileParts(config, lasting, belongings)), release });
  } catch (error) {
    release();
    throw error;
  }
}

async function compileParts(config: GatewayConfig, lasting: Lasting, belongings: Belongings): Promise<Omit<RuntimeParts, 'release'>> {
  const { timeouts, limits } = config;
  const { secureContext } = await upstreamTrust({ ca: config.upstream.ca, minVersion: config.upstream.min_tls });
  const head = { size: limits.head_size, count: limits.header_count };
  const dialSettings: Omit<DialSettings, 'sessions'> = {
    hosts: new Map(Object.entries(config.upstream.hosts)),
    secureContext,
    headLimits: head,
    connectTimeout: timeouts.connect,
    tlsTimeout: timeouts.tls_handshake,
    timeouts: { responseHead: timeouts.response_head, idle: timeouts.idle },
  };
  const poolLimits = { perOrigin: limits.connections_per_upstream, idlePerOrigin: limits.idle_per_upstream, keepAlive: timeouts.keep_alive };
  const forwardTargets = await compileForwardTargets(config, poolLimits, dialSettings);
  const credentials = compileCredentials(config, lasting, belongings);
  const routes = await compileProviders(config, credentials, lasting, belongings);
  const plugin = await compilePlugin(config, routes, lasting);
  return {
    policy: compilePolicy(config.policy),
    bindings: compileBindings(config, credentials),
    callers: compileCallers(config, lasting.runs),
    throttle: lasting.throttle,
    plugin,
    forwardTargets,
    pool: new OriginPool(poolLimits, dialSettings),
    // Tunnels are dialed without TLS of ours, so there are no sessions to keep.
    dialSettings: { ...dialSettings, sessions: new LRUCache<string, Buffer>({ max: TUNNEL_SESSIONS }) },
    leaves: lasting.leaves,
    recorder: lasting.recorder,
    timeouts: {
      head: timeouts.head,
      idle: timeouts.idle,
      keepAlive: timeouts.keep_alive,
      tlsHandshake: timeouts.tls_handshake,
      total: timeouts.total ?? 0,
    },
    limits: { head, tunnels: limits.tunnels, normalizedBody: limits.normalized_body, pluginBody: limits.plugin_body },
    tunnels: lasting.tunnels,
  };
}

function compileCredentials(config: GatewayConfig, lasting: Lasting, belongings: Belongings): Map<string, Credential> {
  const credentials = new Map<string, Credential>();
  for (const [name, { source, grant }] of Object.entries(config.credentials)) {
    if (grant === undefined) {
      const counted = countedSource(makeSource(source as SourceConfig), lasting.onCredentialFetch);
      const credential = new Credential({ name, source: counted, onFailure: lasting.onCredentialFailure });
      belongings.add(() => credential.close());
      credentials.set(name, credential);
    } else {
      const share = openGrant(name, grant, config.token_stores, lasting);
      belongings.add(share.release);
      credentials.set(name, share.value);
    }
  }
  return credentials;
}

/** The source that a configuration describes. */
export function makeSource(config: SourceConfig): Source {
  switch (config.type) {
    case 'env':
      return envSource({ var: config.var });
    case 'file':
      return fileSource({ path: config.path });
    case 'static':
      return staticSource({ value: config.value });
    default:
      return processSource({ command: config.command, timeoutMs: config.timeout, ttlMs: config.ttl });
  }
}

/** The bindings of a configuration as the table that `select` chooses from. `credentials` holds every credential of it by name. */
export function compileBindings(config: Pick<GatewayConfig, 'credentials'>, credentials: ReadonlyMap<string, Credential>): BindingTable {
  const table = new BindingTable();
  for (const [name, { bind }] of Object.entries(config.credentials)) {
    const credential = credentials.get(name) as Credential;
    for (const binding of bind) {
      const compiled = new Binding({
        credential,
        methods: binding.methods ?? null,
        paths: binding.paths ?? null,
        placements: binding.place.map(makePlacement),
        plaintext: binding.plaintext,
      });
      for (const host of binding.hosts) table.add(parseHostPattern(host), compiled);
    }
  }
  return table;
}

function compileCallers(config: GatewayConfig, runs: CallerRegistry): CallerRegistry {
  const callers = new CallerRegistry(runs);
  for (const [name, caller] of Object.entries(config.callers)) {
    const credentials = caller.credentials === 'all' ? 'all' : new Set(caller.credentials);
    const certificate = 'certificate' in caller && caller.certificate !== undefined ? compileCertificatePattern(caller.certificate) : null;
    if ('token' in caller) callers.add({ name, kind: 'token', credentials } satisfies Caller, digestToken(caller.token.reveal()), certificate);
    else if (certificate !== null) callers.addCertificate({ name, kind: 'certificate', credentials }, certificate);
    else callers.loopback = { name, kind: 'loopback', credentials };
  }
  return callers;
}
