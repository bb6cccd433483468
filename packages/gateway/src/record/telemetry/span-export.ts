import type { SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Exchange } from '../../exchange.js';
import type { RareWarnings } from './rare-warnings.js';
import { type SpanOrigin, spansOf } from './spans.js';

/** How much waits, and for how long. */
export interface SpanQueueBounds {
  /** Exchanges that may wait to be exported; those that come on top are counted and lost. */
  readonly queue: number;
  /** The most exchanges in one export. */
  readonly batch: number;
  /** Milliseconds that exchanges wait for company. */
  readonly delay: number;
}

/** Sends the spans of finished exchanges to a collector, in batches and beside the requests. */
export interface SpanExport {
  /** Takes a finished exchange that nobody changes any more. Returns at once and never throws. */
  record(exchange: Exchange): void;
  /** Exchanges whose spans were lost: the queue was full, or the collector did not take them. */
  readonly dropped: number;
  /** Ends. With `flush` what waits is sent before, and it resolves once the collector has it, or has refused it. To be called once. */
  close(flush: boolean): Promise<void>;
}

/** The most characters of waiting exchanges: a full queue of very long paths is bounded too. */
const MOST_QUEUED = 16 * 1024 * 1024;

/** Starts with an empty queue. At most one export is under way. */
export function createSpanExport(exporter: SpanExporter, origin: SpanOrigin, bounds: SpanQueueBounds, warnings: RareWarnings): SpanExport {
  let queue: Exchange[] = [];
  let size = 0;
  let dropped = 0;
  let sending: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function schedule(): void {
    if (sending !== null || closed || queue.length === 0) return;
    if (queue.length >= bounds.batch) setImmediate(send);
    // Unreferenced: what waits is sent when the gateway stops.
    else timer ??= setTimeout(send, bounds.delay).unref();
  }

  function send(): void {
    clearTimeout(timer);
    timer = undefined;
    if (sending !== null || queue.length === 0) return;
    const batch = queue.splice(0, bounds.batch);
    for (const exchange of batch) size -= weight(exchange);
    sending = exported(batch).finally(() => {
      sending = null;
      schedule();
    });
  }

  async function exported(batch: readonly Exchange[]): Promise<void> {
    try {
      const spans = batch.flatMap((exchange) => (exchange.trace === null ? [] : spansOf(exchange, exchange.trace, origin)));
      await new Promise<void>((resolve, reject) => {
        exporter.export(spans, ({ code, error }) => {
          if (code === SUCCESS) resolve();
          else reject(error ?? new Error('the collector did not take them'));
        });
      });
      warnings.worked();
    } catch (error) {
      dropped += batch.length;
      warnings.failed(error instanceof Error ? error.message : String(error));
    }
  }

  return {
    record(exchange) {
      if (exchange.trace?.sampled !== true) return;
      if (closed || queue.length >= bounds.queue || size > MOST_QUEUED) {
        dropped++;
        return;
      }
      queue.push(exchange);
      size += weight(exchange);
      if (timer === undefined || queue.length === bounds.batch) schedule();
    },
    get dropped() {
      return dropped;
    },
    async close(flush) {
      closed = true;
      clearTimeout(timer);
      if (!flush) {
        dropped += queue.length;
        queue = [];
      }
      do {
        await sending;
        send();
      } while (sending !== null);
      await exporter.shutdown();
    },
  };
}

/** `ExportResultCode.SUCCESS` of @opentelemetry/core, which nothing else is needed of. */
const SUCCESS = 0;

/** What an exchange holds on to while it waits, in characters; the constant stands for the object and its short texts. */
function weight({ path, query, errorDetail }: Exchange): number {
  return 512 + path.length + query.length + (errorDetail?.length ?? 0);
}
