import { performance } from 'node:perf_hooks';

const TICK = 100;

/** Something that may run out of time. `deadline` is on the clock of `performance.now()`, milliseconds; `Infinity` when nothing is awaited. */
export interface Deadlined {
  deadline: number;
  onDeadline(): void;
}

/**
 * One timer for all connections: setting a deadline is an assignment, and every 100 ms a sweep calls those that have passed.
 * A timer for each request would cost more than the rest of its bookkeeping. Deadlines are late by at most one tick.
 */
class DeadlineSweep {
  readonly #watched = new Set<Deadlined>();
  #timer: NodeJS.Timeout | null = null;

  watch(entry: Deadlined): void {
    this.#watched.add(entry);
    // The sweep keeps nothing alive: listeners and sockets do.
    this.#timer ??= setInterval(() => this.#sweep(), TICK).unref();
  }

  forget(entry: Deadlined): void {
    this.#watched.delete(entry);
    if (this.#watched.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #sweep(): void {
    const now = performance.now();
    for (const entry of this.#watched) {
      if (entry.deadline > now) continue;
      entry.deadline = Number.POSITIVE_INFINITY;
      entry.onDeadline();
    }
  }
}

/** The sweep of this process. */
export const deadlines = new DeadlineSweep();

/** The point in time `timeout` milliseconds from now; never when the timeout is 0. */
export function deadlineIn(timeout: number): number {
  return timeout === 0 ? Number.POSITIVE_INFINITY : performance.now() + timeout;
}
