const SECOND_MS = 100;
const LONGEST_MS = 30_000;
/** A thread that lived as long as this ends a series of crashes. */
const STEADY_MS = 60_000;

/** How long to wait before a thread that ended is started again. */
export interface RestartDelay {
  /** A thread that began at `startedAt` has ended at `now`. Milliseconds until the next may begin: none at first, then 100 ms doubling to 30 s. */
  next(startedAt: number, now: number): number;
}

export function restartDelay(): RestartDelay {
  let crashes = 0;
  return {
    next(startedAt, now) {
      if (now - startedAt >= STEADY_MS) crashes = 0;
      crashes += 1;
      return crashes === 1 ? 0 : Math.min(SECOND_MS * 2 ** (crashes - 2), LONGEST_MS);
    },
  };
}
