/** Lets one at a time pass, in the order of asking. */
export interface WriterQueue {
  /**
   * Waits for the turn and answers what ends it. Whoever gives up waiting (`signal`) leaves the queue and is rejected with the signal's reason; its
   * turn goes to the next.
   */
  enter(signal?: AbortSignal): Promise<() => void>;
}

/** A queue that nobody stands in yet. */
export function createWriterQueue(): WriterQueue {
  const waiting = new Set<() => void>();
  let busy = false;

  function leave(): void {
    const [next] = waiting;
    if (next === undefined) {
      busy = false;
      return;
    }
    waiting.delete(next);
    next();
  }

  function turn(): () => void {
    let over = false;
    return () => {
      if (over) return;
      over = true;
      leave();
    };
  }

  function enter(signal?: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      if (!busy) {
        busy = true;
        resolve(turn());
        return;
      }
      const giveUp = (): void => {
        waiting.delete(proceed);
        reject(signal?.reason);
      };
      const proceed = (): void => {
        signal?.removeEventListener('abort', giveUp);
        resolve(turn());
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      waiting.add(proceed);
    });
  }

  return { enter };
}
