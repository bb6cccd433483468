import { SallyportError } from '@sallyport/sdk';
import type { GatewayConfig } from '../config/schema.js';

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

/** Where programs on this machine reach the forward listener. Error: `not_ready` when there is none. */
export function forwardProxyUrl(listener: GatewayConfig['listeners']['forward'], port: number | null): URL {
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
