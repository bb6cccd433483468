import { isRetryable } from './http-failure.js';
import { withRetries } from './http-retry.js';
import { encodeRecord } from './token-record-json.js';
import type { StoredToken, TokenRecord } from './token-store.js';

/** The two things that a conditional write is made of. */
export interface ConditionalWrite {
  readonly record: TokenRecord;
  /** Writes once, on condition that nothing has changed; null when something had. */
  readonly write: () => Promise<StoredToken | null>;
  /** What is stored now; null when nothing is. */
  readonly look: () => Promise<StoredToken | null>;
}

/**
 * Makes the write, again after retryable failures, and answers what `TokenStore.replace` has to. An attempt whose answer was lost may have
 * written; the condition then refuses the next one, and only a look at what is stored tells whether the caller has lost a race or won it.
 */
export async function writeOnCondition({ record, write, look }: ConditionalWrite, signal: AbortSignal): Promise<StoredToken | null> {
  let uncertain = false;
  return await withRetries(signal, async () => {
    try {
      const stored = await write();
      if (stored !== null || !uncertain) return stored;
      const there = await look();
      // The lease has a random owner and a rotated token is new, so the same content is that of our own earlier attempt.
      return there !== null && encodeRecord(there.record) === encodeRecord(record) ? there : null;
    } catch (error) {
      if (isRetryable(error)) uncertain = true;
      throw error;
    }
  });
}
