import { abortable } from '../abortable.js';

/** Runs the work when no other work under the same key is under way, first come, first served. */
export type Turns = <T>(key: string, signal: AbortSignal, work: () => Promise<T>) => Promise<T>;

/** Turns of their own. Who goes away while waiting leaves the queue in order; memory is held only for keys under way. */
export function inTurn(): Turns {
  const last = new Map<string, Promise<void>>();
  return async (key, signal, work) => {
    const before = last.get(key) ?? Promise.resolve();
    let done = (): void => {};
    const mine = new Promise<void>((resolve) => {
      done = resolve;
    });
    const tail = before.then(() => mine);
    last.set(key, tail);
    try {
      await abortable(before, signal);
      return await work();
    } finally {
      done();
      if (last.get(key) === tail) void tail.then(() => last.get(key) === tail && last.delete(key));
    }
  };
}
