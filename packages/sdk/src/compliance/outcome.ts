/** How a call of a plugin ended, as far as it was waited for. */
export type Outcome<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'error'; readonly error: unknown }
  | { readonly kind: 'timeout' };

/** Calls, and waits for the end of it for so many milliseconds. A throw is an outcome like a rejection, and a late rejection is nobody's. */
export function settle<T>(call: () => T | Promise<T>, milliseconds: number): Promise<Outcome<T>> {
  const settled = Promise.resolve()
    .then(call)
    .then(
      (value): Outcome<T> => ({ kind: 'answer', value }),
      (error: unknown): Outcome<T> => ({ kind: 'error', error }),
    );
  return Promise.race([settled, timeout(milliseconds, settled)]);
}

/**
 * Calls with a signal, lets the call begin, aborts it, and answers whether it ended within so many milliseconds after that. With `already` the signal
 * is aborted before the call.
 */
export async function endsAfterAbort(call: (signal: AbortSignal) => unknown, milliseconds: number, already: boolean): Promise<Outcome<unknown>> {
  const controller = new AbortController();
  if (already) controller.abort();
  const ended = settle(() => call(controller.signal), 2 ** 31 - 1);
  await turn();
  controller.abort();
  return Promise.race([ended, timeout(milliseconds, ended)]);
}

/** Waits until everything that was due has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * True for an error that the engine made because the code did what cannot be done (a member of undefined, an unknown name, endless recursion), and
 * not for one that somebody threw on purpose: Node and fetch give those a `code` or a `cause`.
 */
export function isCrash(error: unknown): error is Error {
  return (
    error instanceof Error && ['TypeError', 'ReferenceError', 'RangeError'].includes(error.name) && !('code' in error) && error.cause === undefined
  );
}

function timeout(milliseconds: number, until: Promise<unknown>): Promise<{ readonly kind: 'timeout' }> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ kind: 'timeout' }), milliseconds);
    void until.then(() => clearTimeout(timer));
  });
}
