import { performance } from 'node:perf_hooks';
import type { Exchange } from '../exchange.js';
import type { EventLog } from './event-log.js';
import type { Metrics } from './metrics.js';
import type { Tracing } from './telemetry/tracing.js';

/** Takes every exchange at its end, whichever way it ended. */
export interface Recorder {
  /** Puts exchanges into traces at their beginning; null when tracing is off. */
  readonly tracing: Tracing | null;
  /**
   * Completes the exchange with its duration, counts it and hands it to the log; nobody may change it afterwards. Returns at once and never throws.
   * A second call for the same exchange does nothing but count an internal fault, so that two ways of ending cannot make two events.
   */
  record(exchange: Exchange): void;
}

/** Where finished exchanges go. */
export interface RecorderParts {
  readonly log: Pick<EventLog, 'record'>;
  readonly metrics: Metrics;
  /** Null when tracing is off. */
  readonly traces: { readonly tracing: Tracing; record(exchange: Exchange): void } | null;
}

/** Makes the recorder that a gateway's doors share. */
export function createRecorder({ log, metrics, traces }: RecorderParts): Recorder {
  return {
    tracing: traces?.tracing ?? null,
    record(exchange) {
      if (exchange.durationMs >= 0) {
        metrics.internalFault();
        return;
      }
      exchange.durationMs = Math.max(0, performance.now() - exchange.startedTick);
      metrics.observe(exchange);
      log.record(exchange);
      traces?.record(exchange);
    },
  };
}
