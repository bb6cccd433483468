import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

/** pino's numbers of the levels that can be chosen; nothing is grave enough for `silent`. */
export const levelNumbers = { debug: 20, info: 30, warn: 40, error: 50, silent: Number.POSITIVE_INFINITY } as const;

/** The least level that is written. */
export type LogLevel = keyof typeof levelNumbers;

/**
 * The operational log: a sentence for people and fields for machines, as in `logger.info({ port }, 'The forward proxy is listening')`. Lines
 * have pino's shape without process id and host name. A `Secret` prints as `[secret]` wherever it stands; raw strings are the caller's matter.
 */
export function createLogger(stream: DestinationStream, level: LogLevel): Logger {
  return pino({ level, base: null }, stream);
}
