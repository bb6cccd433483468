import type { Exchange } from '../exchange.js';
import { type LogDestination, openLogWriter } from './log-writer.js';
import { createLogger, type Logger, type LogLevel, levelNumbers } from './logger.js';
import { eventLevel, formatEvent, type RecordedTarget } from './request-event.js';

/** How a log is made. */
export interface EventLogOptions {
  readonly destination: LogDestination;
  /** Lines below this level are not written. */
  readonly level: LogLevel;
  /** The most exchanges that may wait to be written; those that come on top are counted and lost. */
  readonly maxQueue: number;
  /** What request events tell of a target; its path when left out. */
  readonly target?: RecordedTarget;
}

/** The one log of a gateway: request events and the sentences of the operational log, as lines of JSON at one destination. */
export interface EventLog {
  /** For what is not an exchange: start, reload, listeners, warnings. */
  readonly logger: Logger;
  /** How many lines were lost because the destination did not keep up, failed, or was closed. */
  readonly dropped: number;
  /** Takes a finished exchange, which nobody may change from then on. Returns at once and never throws. */
  record(exchange: Exchange): void;
  /** Resolves once everything that was accepted is written, or once writing has failed. */
  flush(): Promise<void>;
  /** Writes what was accepted, then closes. When the destination fails or the signal aborts, what is left is given up and counted. */
  close(signal?: AbortSignal): Promise<void>;
}

/** Exchanges are collected for this long, so that one write carries many lines. Milliseconds. */
const COLLECT = 25;

/** What is formatted in one go before other work gets its turn. */
const BATCH_LINES = 256;
const BATCH_SIZE = 64 * 1024;

/** The most characters of waiting exchanges: a full queue of very long paths is bounded too. */
const MOST_QUEUED = 16 * 1024 * 1024;

/**
 * Opens a log. Exchanges wait in a bounded queue and are formatted in batches off the hot path. After a loss the log says how much was lost as soon
 * as it can write again. Errors: `config_invalid` when the file cannot be opened; none later, whatever the destination does.
 */
export function createEventLog({ destination, level, maxQueue, target = 'path' }: EventLogOptions): EventLog {
  const queue = new Array<Exchange | undefined>(maxQueue).fill(undefined);
  let head = 0;
  let count = 0;
  let size = 0;
  let dropped = 0;
  let reported = 0;
  let collecting: NodeJS.Timeout | undefined;
  let turn: NodeJS.Immediate | undefined;
  let hurry = false;
  let closed = false;
  let settled: (() => void)[] = [];

  const writer = openLogWriter(destination, {
    onIdle: next,
    onLost: (lines) => {
      dropped += lines;
    },
    onFailure: (final) => {
      if (final) giveUp();
      settle();
    },
  });
  const threshold = levelNumbers[level];
  const logger = createLogger({ write: (line) => writer.write(line, 1) }, level);

  function next(): void {
    if (count === 0 && dropped === reported) settle();
    else if (hurry || count >= BATCH_LINES || dropped !== reported) turn ??= setImmediate(writeBatch);
    // Unreferenced: waiting for company is no reason for a process to stay.
    else collecting ??= setTimeout(writeBatch, COLLECT).unref();
  }

  function writeBatch(): void {
    clearTimeout(collecting);
    clearImmediate(turn);
    collecting = undefined;
    turn = undefined;
    if (!writer.idle || closed) return;
    let text = '';
    let lines = 0;
    if (dropped !== reported) {
      text = lossLine(dropped - reported);
      lines = 1;
      reported = dropped;
    }
    while (count > 0 && lines < BATCH_LINES && text.length < BATCH_SIZE) {
      text += formatEvent(take(), target);
      lines++;
    }
    writer.write(text, lines, true);
  }

  function take(): Exchange {
    const exchange = queue[head];
    if (exchange === undefined) throw new RangeError('The queue of request events is empty.');
    queue[head] = undefined;
    head = head + 1 === maxQueue ? 0 : head + 1;
    count--;
    size -= weight(exchange);
    return exchange;
  }

  function giveUp(): void {
    closed = true;
    clearTimeout(collecting);
    clearImmediate(turn);
    dropped += count;
    queue.fill(undefined);
    count = 0;
  }

  function settle(): void {
    hurry = false;
    const waiting = settled;
    settled = [];
    for (const resolve of waiting) resolve();
  }

  async function flush(): Promise<void> {
    if (closed || (count === 0 && dropped === reported && writer.idle)) return;
    await new Promise<void>((resolve) => {
      settled.push(resolve);
      hurry = true;
      if (writer.idle) writeBatch();
    });
  }

  return {
    logger,
    get dropped() {
      return dropped;
    },
    record(exchange) {
      if (eventLevel(exchange) < threshold) return;
      if (closed || count === maxQueue || size > MOST_QUEUED) {
        dropped++;
        return;
      }
      queue[(head + count) % maxQueue] = exchange;
      count++;
      size += weight(exchange);
      if (collecting === undefined && turn === undefined && writer.idle) next();
    },
    flush,
    async close(signal) {
      await Promise.race([flush(), aborted(signal)]);
      giveUp();
      writer.close();
      settle();
    },
  };
}

/** What an exchange holds on to while it waits, in characters; the constant stands for the object and its short texts. */
function weight(exchange: Exchange): number {
  return 256 + exchange.path.length + exchange.query.length;
}

function lossLine(lines: number): string {
  const message = 'Log lines were lost because the log destination did not keep up';
  return `{"level":40,"time":${Date.now()},"lost":${lines},"msg":"${message}"}\n`;
}

async function aborted(signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return new Promise(() => {});
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
