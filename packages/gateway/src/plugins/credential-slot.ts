import { SallyportError } from '@sallyport/sdk';
import type { CredentialsAnswer, PluginCredential, RequestChanges } from './plugin-host.js';

/** A credential that is kept. The same object for as long as it is in use. */
export interface CachedCredential extends PluginCredential {
  /** Milliseconds since the epoch, a tenth of its life before the end: a use after this begins a refresh. */
  readonly refreshAt: number;
}

const AHEAD = 0.1;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** What is known of one context: its credential, or that it has none to keep, or that the last call failed. */
export class CredentialSlot {
  /** The last answer was not one that could be kept: every request is asked about for itself. */
  slow = false;
  /** A call that others may wait for. Null comes out of it when its answer was good for one request only. */
  flight: Promise<CachedCredential | null> | null = null;
  #current: CachedCredential | null = null;
  #failure: SallyportError | null = null;
  #failures = 0;
  #retryAt = 0;

  /** The credential; null when there is none, or it has expired. */
  current(now: number): CachedCredential | null {
    if (this.#current !== null && this.#current.expiresAt <= now) this.#current = null;
    return this.#current;
  }

  /** Takes an answer in. Answers what can be kept of it; null when that is nothing. */
  adopt({ credential, changes }: CredentialsAnswer, now: number): CachedCredential | null {
    this.#failure = null;
    this.#failures = 0;
    // Changes would be lost on the next request, which does not ask.
    this.slow = credential === null || changesSomething(changes);
    if (credential === null || this.slow) return null;
    const { fields, expiresAt } = credential;
    this.#current = { fields, expiresAt, refreshAt: expiresAt - (expiresAt - now) * AHEAD };
    return this.#current;
  }

  /** Takes a failed call in: none is made for a while. */
  fail(error: SallyportError, now: number): void {
    this.#retryAt = now + Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    this.#failure = error;
  }

  /** The failure to answer with instead of calling again; null when a call may be made. Its member `retry_after` is in whole seconds. */
  pausedBy(now: number): SallyportError | null {
    const wait = this.#retryAt - now;
    // A wait that is longer than any pause means that the clock was set back.
    if (this.#failure === null || wait <= 0 || wait > LONGEST_PAUSE_MS) return null;
    const { code, message, hint, members, cause } = this.#failure;
    return new SallyportError(code, { detail: message, hint, members: { ...members, retry_after: Math.ceil(wait / 1000) }, cause });
  }

  /** Forgets the credential if it still is `seen`. */
  invalidate(seen: CachedCredential): void {
    if (this.#current === seen) this.#current = null;
  }
}

/** True for a failure that lies in one request and not in the plugin or what it asks. */
export function isCallersFault({ status, code }: SallyportError): boolean {
  return code === 'client_aborted' || (status >= 400 && status < 500);
}

function changesSomething({ fields, path, query, replacement }: RequestChanges): boolean {
  return fields.names.length > 0 || path !== null || query !== null || replacement !== null;
}
