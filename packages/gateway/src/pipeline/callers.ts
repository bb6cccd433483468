import { createHash } from 'node:crypto';
import type { Caller } from '../exchange.js';

/** What a caller presents, as it is kept: a digest, never the token. */
export type TokenDigest = string;

/** The digest under which a token is looked up. */
export function digestToken(token: string): TokenDigest {
  return createHash('sha256').update(token).digest('base64');
}

/**
 * The callers of a gateway. Tokens are compared by looking up their SHA-256: how long that takes says nothing about how much of a token was
 * right, because nobody can steer a digest byte by byte.
 */
export class CallerRegistry {
  readonly #byDigest = new Map<TokenDigest, Caller>();
  readonly #further: CallerRegistry | null;
  #loopback: Caller | null = null;

  /** `further` is asked for tokens that are not found here. */
  constructor(further: CallerRegistry | null = null) {
    this.#further = further;
  }

  add(caller: Caller, digest: TokenDigest): void {
    this.#byDigest.set(digest, caller);
  }

  remove(digest: TokenDigest): void {
    this.#byDigest.delete(digest);
  }

  find(digest: TokenDigest): Caller | null {
    return this.#byDigest.get(digest) ?? this.#further?.find(digest) ?? null;
  }

  /** The caller that a peer on a loopback address is without any token; null when there is none. */
  get loopback(): Caller | null {
    return this.#loopback;
  }

  set loopback(caller: Caller | null) {
    this.#loopback = caller;
  }
}
