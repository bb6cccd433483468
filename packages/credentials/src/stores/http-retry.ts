import { setTimeout as delay } from 'node:timers/promises';
import type { SallyportError } from '@sallyport/sdk';
import { abortable } from '../abortable.js';
import type { HttpAnswer } from './http-client.js';
import { isRetryable } from './http-failure.js';

const ATTEMPTS = 3;
const FIRST_WAIT_MS = 100;
/** Whoever asks for a longer wait is not asked again here: the caller gets the error with the wait in it. */
const LONGEST_WAIT_MS = 2_000;
const LONGEST_RETRY_AFTER = 24 * 60 * 60;

/**
 * The result of the attempt, which is made up to three times as long as it fails with a retryable error. The waits between grow from 0.1 s, with
 * jitter, and are at least as long as the server asked for. An abort rejects at once with the reason of the signal.
 */
export async function withRetries<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let made = 1; ; made += 1) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      const wait = made < ATTEMPTS && isRetryable(error) ? waitMs(error, made) : null;
      if (wait === null) throw error;
      await pause(wait, signal);
    }
  }
}

/** Waits, or rejects with the reason of the signal as soon as that aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await abortable(delay(ms, undefined, { signal }), signal);
}

/** The whole seconds of a Retry-After field in either of its forms (RFC 9110 §10.2.3), at most a day; null when there is none that can be read. */
export function retryAfter(answer: HttpAnswer, now = Date.now()): number | null {
  const value = answer.header('retry-after')?.trim() ?? '';
  if (/^[0-9]{1,9}$/.test(value)) return Math.min(Number(value), LONGEST_RETRY_AFTER);
  const at = /^[A-Z][a-z]{2}, .* GMT$/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? null : Math.min(Math.max(0, Math.ceil((at - now) / 1000)), LONGEST_RETRY_AFTER);
}

function waitMs(error: SallyportError, made: number): number | null {
  const own = FIRST_WAIT_MS * 4 ** (made - 1) * (0.5 + Math.random());
  const asked = typeof error.members.retry_after === 'number' ? error.members.retry_after * 1000 : 0;
  return asked > LONGEST_WAIT_MS ? null : Math.max(own, asked);
}
