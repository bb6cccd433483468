import type { Check } from './kit.js';
import { endsAfterAbort, isCrash } from './outcome.js';

/** Asks that a method comes to an end soon when its signal is aborted: before it was called, and while it is at work. */
export function stopCheck(method: string, call: (signal: AbortSignal) => unknown, timeout: number): Check {
  return {
    name: `${method} stops when it is told to`,
    async run() {
      for (const already of [true, false]) {
        const outcome = await endsAfterAbort(call, timeout, already);
        if (outcome.kind === 'timeout')
          throw new Error(`it was still running ${timeout} ms after its signal was aborted; hand the signal to what it waits for`);
        if (outcome.kind === 'error' && isCrash(outcome.error)) throw new Error(`it crashed (${outcome.error.name}) when its signal was aborted`);
      }
    },
  };
}
