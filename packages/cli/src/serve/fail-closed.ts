import type { Logger } from '@sallyport/gateway';

/**
 * What nobody expected ends the process: a gateway in a state that nobody knows must not go on to hand out secrets. The log gets the kind of the
 * error and where it was thrown, but not its message, which may hold anything.
 */
export function failClosed(logger: Logger, close: (signal: AbortSignal) => Promise<void>): void {
  const end = (error: unknown): void => {
    const { name, stack } = error instanceof Error ? error : { name: typeof error, stack: undefined };
    const frames = (stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
    logger.fatal({ code: 'internal_error', error: name, frames }, 'something unexpected happened; the process ends');
    if (process.env.SALLYPORT_DEBUG === '1') console.error(error);
    void close(AbortSignal.timeout(1_000)).finally(() => process.exit(1));
  };
  process.once('uncaughtException', end);
  process.once('unhandledRejection', end);
}
