import type { ErrorCode } from '@sallyport/sdk';
import type { Exchange } from '../exchange.js';
import type { TunnelEnd } from '../wire/tunnel.js';

const ends: Readonly<Record<TunnelEnd['reason'], { outcome: Exchange['outcome']; error: ErrorCode | null; detail: string | null }>> = {
  closed: { outcome: 'completed', error: null, detail: null },
  client: { outcome: 'aborted', error: 'client_aborted', detail: 'the client broke off' },
  upstream: { outcome: 'failed', error: 'upstream_reset', detail: 'the upstream broke off' },
  idle: { outcome: 'failed', error: 'upstream_idle_timeout', detail: 'no byte moved either way for the idle time (timeouts.idle)' },
};

/** Writes into an exchange what became of its tunnel, and the bytes that went through it on top of those that are counted already. */
export function noteTunnelEnd(exchange: Exchange, { clientBytes, upstreamBytes, reason }: TunnelEnd): void {
  const { outcome, error, detail } = ends[reason];
  exchange.requestBytes += clientBytes;
  exchange.responseBytes += upstreamBytes;
  exchange.outcome = outcome;
  exchange.error = error;
  exchange.errorDetail = detail;
}
