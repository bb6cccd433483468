import { SallyportError } from '@sallyport/sdk';

/** What is said about a failure besides what happened. */
export interface FailureDetails {
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  readonly hint: string;
  /** Seconds that the server asked to wait. */
  readonly retryAfter?: number | null;
}

/**
 * A `token_store_failed` error with the members `retryable` and, where the server named a wait, `retry_after`. Takes no cause and no text of the
 * server: either may quote a secret.
 */
export function storeFailed(detail: string, { retryable, hint, retryAfter = null }: FailureDetails): SallyportError {
  const members = retryAfter === null ? { retryable } : { retryable, retry_after: retryAfter };
  return new SallyportError('token_store_failed', { detail, hint, members });
}

/** A `config_invalid` error about an option of a store; thrown when the store is made. */
export function optionInvalid(option: string, problem: string, hint: string): SallyportError {
  return new SallyportError('config_invalid', { detail: `${option}: ${problem}`, hint });
}

/** True for a failure that says about itself that a later attempt may succeed. */
export function isRetryable(error: unknown): error is SallyportError {
  return error instanceof SallyportError && error.members.retryable === true;
}
