import { setMaxListeners } from 'node:events';
import { abortable } from '../abortable.js';

/** A signal that never aborts, for work that has to be finished. */
export const NEVER: AbortSignal = new AbortController().signal;
// Everything that is under way at the same time listens to it, for as long as it takes. Node.js would call more than ten a leak.
setMaxListeners(0, NEVER);

/**
 * Does the work with a signal that aborts when `signal` does, or with `late()` as its reason after so many milliseconds. Settles at once when that
 * happens, whether the work heeds the signal or not.
 */
export async function bounded<T>(work: (signal: AbortSignal) => Promise<T>, ms: number, signal: AbortSignal, late: () => Error): Promise<T> {
  signal.throwIfAborted();
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(late()), ms);
  const forward = (): void => abort.abort(signal.reason);
  signal.addEventListener('abort', forward, { once: true });
  try {
    return await abortable(work(abort.signal), abort.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', forward);
  }
}

/** Waits so many milliseconds; an abort rejects at once with its reason. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener('abort', finish, { once: true });
    if (signal.aborted) finish();
  });
}
