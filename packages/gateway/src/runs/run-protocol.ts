import { SallyportError } from '@sallyport/sdk';
import type { GatewayConfig } from '../config/schema.js';
import type { Authority } from '../tls/authority.js';
import { caBundle } from '../tls/trust.js';
import type { Run } from './runs.js';
import { secretVariables } from './secret-variables.js';

/** The path of the runs on the control socket. */
export const runsPath = '/v1/runs';

/** What a program needs to go through the gateway as a run. Everything but the token and the URL with it may be known to everyone. */
export interface RunOffer {
  readonly run_id: string;
  readonly token: string;
  /** `http://run:TOKEN@127.0.0.1:PORT`; https where the forward listener has TLS. */
  readonly proxy_url: string;
  /** The certificate of the authority, PEM. */
  readonly authority: string;
  /** The same, and the roots that upstreams are verified against: for clients that take one file in place of their own. */
  readonly ca_bundle: string;
  /** Environment variables that hold secrets of the configuration: what a program under the run must not inherit. */
  readonly secret_variables: readonly string[];
}

/** The part of a gateway that an offer is made of. */
export interface OfferingGateway {
  readonly authority: Authority;
  readonly config: GatewayConfig;
  readonly ports: { readonly forward: number | null };
}

/**
 * Gets everything ready for a run and answers the function that makes the offer of it: what can fail has failed before there is a run that nobody
 * would hear of. Error: `not_ready` when there is no forward listener for a run to use.
 */
export async function prepareOffer({ authority, config, ports }: OfferingGateway): Promise<(run: Run) => RunOffer> {
  const proxy = forwardProxyUrl(config.listeners.forward, ports.forward);
  const bundle = await caBundle({ authority, ca: config.upstream.ca });
  const hidden = secretVariables(config, process.env);
  return ({ id, token }) => {
    const url = new URL(proxy);
    url.username = 'run';
    url.password = token;
    return {
      run_id: id,
      token,
      proxy_url: url.href.replace(/\/$/, ''),
      authority: authority.certificatePem,
      ca_bundle: bundle,
      secret_variables: hidden,
    };
  };
}

/** Where programs on this machine reach the forward listener. */
function forwardProxyUrl(listener: GatewayConfig['listeners']['forward'], port: number | null): URL {
  if (listener === undefined || port === null) {
    throw new SallyportError('not_ready', {
      detail: 'The gateway that runs with this configuration has no forward listener for a run to use.',
      hint: 'Add `forward: { port: 9080 }` under gateway.listeners.',
    });
  }
  const { host, tls } = listener;
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return new URL(`${tls === undefined ? 'http' : 'https'}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`);
}
