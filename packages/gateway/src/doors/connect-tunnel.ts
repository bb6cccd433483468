import type { SallyportError } from '@sallyport/sdk';
import type { Passage } from '../pipeline/passage.js';
import { refuse, settle } from '../pipeline/pipeline.js';
import { noteTunnelEnd } from '../pipeline/tunnel-end.js';
import type { Network } from '../policy/network.js';
import { dial } from '../upstream/dial.js';
import { Tunnel } from '../wire/tunnel.js';

/** The answer to a CONNECT that goes through (RFC 9110 §9.3.6). */
export const CONNECTED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

/** Passes a CONNECT on unseen, as policy said: bytes both ways to the judged address, and one record at the end. */
export function openTunnel(passage: Passage, permits: readonly Network[]): void {
  const { exchange, client, runtime } = passage;
  exchange.kind = 'tunnel';
  const full = runtime.noRoomForTunnel();
  if (full !== null) throw full;
  const began = performance.now();
  // Before the dialing, which may fail at once: who leaves after that leaves nothing behind.
  let cancel = (): void => {};
  client.onGone = () => {
    cancel();
    exchange.outcome = 'aborted';
    exchange.error = 'client_aborted';
    settle(passage);
  };
  cancel = dial({ tls: false, host: exchange.host, port: exchange.port, permits }, runtime.dialSettings, (error, upstream) => {
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
      noteTunnelEnd(exchange, end);
      settle(passage);
    });
    runtime.tunnels.add(tunnel);
    tunnel.start(rest, null);
  });
}
