/**
 * Settles as the promise does, or rejects with the reason of the signal as soon as that aborts: for libraries that take no signal. The work goes
 * on, and what becomes of it after an abort is ignored. Leaves no listener on the signal.
 */
export function abortable<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise<Result>((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    // Attached even when already aborted: otherwise a later failure of the work would count as an unhandled rejection.
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
