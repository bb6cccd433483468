import type { Secret } from '@sallyport/sdk';

/** Says that somebody is refreshing: nobody else may until then. */
export interface RefreshLease {
  /** Random, made anew for every refresh; whoever does not hold it does not write. */
  readonly owner: string;
  /** Milliseconds since the epoch. After that another one may take over, and has to read `unknownSince`. */
  readonly expiresAt: number;
}

/**
 * Everything that is kept of one refresh token. It is one value and written as one, so that the token, the lease and the journal can never
 * contradict each other, whatever instruction a process dies at.
 */
export interface TokenRecord {
  /** The token that the next refresh presents. */
  readonly refreshToken: Secret;
  /** Earlier tokens, newest first, at most eight: superseded, never erased, so that a person can still try them. */
  readonly superseded: readonly Secret[];
  /** Set before the token endpoint is called, removed with the write that stores its answer. */
  readonly lease: RefreshLease | null;
  /**
   * Milliseconds since the epoch of the oldest call to the token endpoint whose outcome nobody knows; null when every call so far was answered.
   * The server may have rotated the token in such a call.
   */
  readonly unknownSince: number | null;
}

/** A record as it was read, with what tells whether it is still the same. */
export interface StoredToken {
  readonly record: TokenRecord;
  /** Opaque; differs after every write. */
  readonly version: string;
}

/**
 * Where refresh tokens are kept, by key (a tenant, or one fixed name). A store only reads and replaces; leases, journal and rotation are written
 * once around it, in the refresh coordinator. Safe for concurrent use, also by several processes where the kept thing is shared between them.
 */
export interface TokenStore {
  /** For people: `file /var/lib/tokens`, `vault secret/tenants`. Never the value. */
  readonly description: string;
  /** What is stored under the key. Errors: `token_not_found`, `token_store_failed`. */
  read(key: string, signal: AbortSignal): Promise<StoredToken>;
  /**
   * Replaces what is stored if it is still `expected` (null: nothing is stored yet), and answers what is stored now; null when it was not
   * `expected` any more and nothing was written. Resolves only once the record would survive a crash. Errors: `token_store_failed`.
   */
  replace(key: string, expected: string | null, record: TokenRecord, signal: AbortSignal): Promise<StoredToken | null>;
}
