import type { SallyportError, Secret } from '@sallyport/sdk';
import type { Material } from '../material.js';

/**
 * What became of one presentation of a refresh token. The kinds differ in what the server may have done with the token, which is all that the
 * safekeeping of tokens depends on.
 */
export type ExchangeOutcome =
  /** The server did it. `refreshToken` is the successor, null when the presented token stays in use; `result` is the access token, or why it is useless. */
  | { readonly kind: 'answered'; readonly refreshToken: Secret | null; readonly result: Material | SallyportError }
  /** The server knows the token no more, or never did (`invalid_grant`). */
  | { readonly kind: 'refused'; readonly error: SallyportError }
  /** Certainly not used up: nothing was sent, or the server refused before it looked at the token. */
  | { readonly kind: 'unused'; readonly error: SallyportError }
  /** Sent, and no answer that says what happened: the server may have issued a successor that nobody will ever see. */
  | { readonly kind: 'unknown'; readonly error: SallyportError };

/** Presents a refresh token to its token endpoint, once. Never rejects. An abort gives an outcome as well, mostly `unknown`. */
export type Exchange = (refreshToken: Secret, signal: AbortSignal) => Promise<ExchangeOutcome>;
