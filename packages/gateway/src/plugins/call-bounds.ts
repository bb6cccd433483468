import { goneFailure, timeoutFailure } from './call-failure.js';

/** How long somebody waits for an answer of a plugin. */
export interface CallBounds {
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** Tells `work` that nobody waits for it any more. */
export interface Ending {
  /** Aborts at that moment, with the reason. Made when it is first asked for: a signal costs more than all else about a call, and many never look. */
  readonly signal: AbortSignal;
}

/**
 * Waits for `work`, but no longer than the bounds say: then it rejects with `plugin_timeout`, or the reason of the signal. `work` can get a signal that
 * aborts at that moment; whatever becomes of it afterwards, an answer or a rejection, is ignored. Leaves no timer and no listener.
 */
export function withinBounds<T>(method: string, { signal, timeoutMs }: CallBounds, work: (ending: Ending) => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) {
      reject(goneFailure(signal));
      return;
    }
    const own = new OwnEnding();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
    };
    const giveUp = (error: Error): void => {
      end();
      // First, so that a plugin which answers its abort at once cannot get in before it.
      reject(error);
      own.abort(error);
    };
    const gone = (): void => giveUp(goneFailure(signal));
    const timer = setTimeout(() => giveUp(timeoutFailure(method, timeoutMs)), timeoutMs);
    signal.addEventListener('abort', gone, { once: true });
    work(own).then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}

class OwnEnding implements Ending {
  #controller: AbortController | null = null;
  #reason: Error | null = null;

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#reason !== null) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/** Settles as `work` does, or rejects with the reason of the signal as soon as that aborts; what becomes of `work` then is ignored. */
export function untilGone<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const gone = (): void => reject(goneFailure(signal));
    if (signal.aborted) gone();
    else signal.addEventListener('abort', gone, { once: true });
    // Attached even when already aborted: otherwise a later failure would count as an unhandled rejection.
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', gone));
  });
}
