import { performance } from 'node:perf_hooks';
import type { Exchange } from '../exchange.js';
import type { EventLog } from './event-log.js';
import type { Metrics } from './metrics.js';

/** Takes every exchange at its end, whichever way it ended. */
export interface Recorder {
  /**
   * Completes the exchange with its duration, counts it and hands it to the log; nobody may change it afterwards. Returns at once and never throws.
   * A second call for the same exchange does nothing but count an internal fault, so that two ways of ending cannot make two events.
   */
  record(exchange: Exchange): void;
}

/** Makes the recorder that a gateway's doors share. */
export function createRecorder({ log, metrics }: { readonly log: Pick<EventLog, 'record'>; readonly metrics: Metrics }): Recorder {
  return {
    record(exchange) {
      if (exchange.durationMs >= 0) {
        metrics.internalFault();
        return;
      }
      exchange.durationMs = Math.max(0, performance.now() - exchange.startedTick);
      metrics.observe(exchange);
      log.record(exchange);
    },
  };
}
