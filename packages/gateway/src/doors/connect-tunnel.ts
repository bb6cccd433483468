import { SallyportError } from '@sallyport/sdk';
import { refuse, settle } from '../pipeline/pipeline.js';
import type { Passage } from '../pipeline/passage.js';
import type { Network } from '../policy/network.js';
import { dial } from '../upstream/dial.js';
import { Tunnel } from '../wire/tunnel.js';

/** The answer to a CONNECT that goes through (RFC 9110 §9.3.6). */
export const CONNECTED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

/** Passes a CONNECT on unseen, as policy said: bytes both ways to the judged address, and one record at the end. */
export function openTunnel(passage: Passage, permits: readonly Network[]): void {
  const { exchange, client, runtime } = passage;
  exchange.kind = 'tunnel';
  if (runtime.tunnels.size >= runtime.limits.tunnels) {
    throw new SallyportError('limit_exceeded', { detail: `there are ${runtime.tunnels.size} tunnels already (limits.tunnels)` });
  }
  const began = performance.now();
  const cancel = dial({ tls: false, host: exchange.host, port: exchange.port, permits }, runtime.dialSettings, (error, upstream) => {
    client.onGone = null;
    exchange.connectMs = performance.now() - began;
    if (upstream === null) {
      refuse(passage, error as SallyportError);
      return;
    }
    exchange.upstreamAddress = upstream.address;
    exchange.status = 200;
    client.write(CONNECTED);
    const rest = client.detach();
    const tunnel = new Tunnel(client.socket, upstream, runtime.timeouts.idle, (end) => {
      runtime.tunnels.delete(tunnel);
      exchange.requestBytes = end.clientBytes;
      exchange.responseBytes = end.upstreamBytes;
      settle(passage);
    });
    runtime.tunnels.add(tunnel);
    tunnel.start(rest, null);
  });
  client.onGone = () => {
    cancel();
    exchange.outcome = 'aborted';
    exchange.error = 'client_aborted';
    settle(passage);
  };
}
