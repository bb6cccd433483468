import { setTimeout as delay } from 'node:timers/promises';

/** Waits about this long (half to all of it, by chance, so that those who collided do not meet again). Rejects with the signal's reason. */
export async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(milliseconds * (0.5 + Math.random() / 2), undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    // What waits here says only that it was aborted; the signal says why.
    signal?.throwIfAborted();
    throw error;
  }
}
