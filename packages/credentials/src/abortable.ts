/**
 * Settles as the promise does, or rejects with the reason of the signal as soon as that aborts. The work behind the promise goes on,
 * and what becomes of it after an abort is ignored. Leaves no listener on the signal.
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    // Attached even when already aborted: otherwise a later failure of the work would count as an unhandled rejection.
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
