import { asSallyportError, SallyportError, type TransactionContext } from '@sallyport/sdk';
import { LRUCache } from 'lru-cache';
import { untilGone } from './call-bounds.js';
import { contextHash } from './context-hash.js';
import { type CachedCredential, CredentialSlot, isCallersFault } from './credential-slot.js';
import type { CredentialsAnswer, PluginCredential, RequestChanges } from './plugin-host.js';

/** Whose request it is, and what it is about. */
export interface CredentialKey {
  /** Made by `rawContextKey`. */
  readonly raw: string;
  readonly context: TransactionContext;
  /** Credentials of one caller are never given to another. */
  readonly caller: string | null;
}

/** Asks the plugin. The signal aborts when nobody needs the answer. */
export type AskPlugin = (signal: AbortSignal) => Promise<CredentialsAnswer>;

/** What a request goes out with. */
export interface Obtained {
  readonly credential: PluginCredential | null;
  /** What the plugin did to this very request; null when it was not asked about it. */
  readonly changes: RequestChanges | null;
}

export interface CredentialCacheOptions {
  /** Contexts that are remembered at the most; of more, the least recently used is forgotten. */
  readonly entries: number;
  /** Hears of refreshes that failed in the background. Must not throw. */
  readonly onRefreshFailure: (error: SallyportError) => void;
}

/** On average a raw key may be this long before fewer than `entries` of them are kept. */
const KEY_LENGTH = 1_024;
const SWEEP_MS = 30_000;

/**
 * The credentials of the fast path, under the hash of their context and the name of the caller, and in front of that under the raw key. For each
 * context at most one call is under way that others can share; it goes on when they go away. What the plugin answers for one request only (null,
 * or a credential together with changes) is not kept: from then on each request of that context goes to the plugin, in parallel.
 *
 * After a call that failed none is made for the same context for 1 s, doubling up to 30 s, unless the request itself was at fault; a refresh that
 * fails leaves the credential in use for as long as it is valid. Expired credentials are dropped at once when used, and otherwise within 30 s.
 */
export class CredentialCache {
  readonly #byKey: LRUCache<string, CredentialSlot>;
  readonly #byHash: LRUCache<string, CredentialSlot>;
  readonly #onRefreshFailure: (error: SallyportError) => void;
  readonly #closing = new AbortController();
  readonly #sweep: NodeJS.Timeout;

  constructor({ entries, onRefreshFailure }: CredentialCacheOptions) {
    this.#byKey = new LRUCache({ max: entries, maxSize: entries * KEY_LENGTH, sizeCalculation: (_slot, key) => key.length + 1 });
    this.#byHash = new LRUCache({ max: entries });
    this.#onRefreshFailure = onRefreshFailure;
    this.#sweep = setInterval(() => this.#dropExpired(), SWEEP_MS).unref();
  }

  /** A credential that is at hand and valid. `refresh` is due when it has passed its `refreshAt`. */
  cached(raw: string, now = Date.now()): CachedCredential | null {
    const slot = this.#byKey.get(raw);
    return slot === undefined ? null : slot.current(now);
  }

  /** A credential for a request: at hand, from a call that is under way, or from one that is made now. Rejects with a `SallyportError`. */
  async obtain(key: CredentialKey, ask: AskPlugin, signal: AbortSignal): Promise<Obtained> {
    this.#closing.signal.throwIfAborted();
    const slot = this.#slot(key);
    const now = Date.now();
    const current = slot.current(now);
    if (current !== null) return { credential: current, changes: null };
    if (slot.slow) return await this.#askFor(slot, ask, signal);
    if (slot.flight !== null) return await this.#share(slot, slot.flight, ask, signal);
    const paused = slot.pausedBy(now);
    if (paused !== null) throw paused;
    // What the caller is to blame for says nothing about the next one.
    return await untilGone(
      this.#lead(slot, ask, (error) => !isCallersFault(error)),
      signal,
    );
  }

  /** Fetches a credential anew while the old one is in use; does nothing when that is under way, or failed a moment ago. */
  refresh(raw: string, ask: AskPlugin): void {
    const slot = this.#byKey.get(raw);
    if (slot === undefined || slot.slow || slot.flight !== null || slot.pausedBy(Date.now()) !== null) return;
    this.#lead(slot, ask, () => true).catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#onRefreshFailure(asSallyportError(error));
    });
  }

  /**
   * Forgets a credential that the upstream refused. Does nothing unless it still is `seen`: of many requests that were refused with the same one
   * only the first has an effect. Whoever calls this bounds how often.
   */
  invalidate(raw: string, seen: CachedCredential): void {
    this.#byKey.get(raw)?.invalidate(seen);
  }

  /** Forgets everything: each next request asks anew. What calls under way answer is good for those who wait for them. */
  clear(): void {
    this.#byKey.clear();
    this.#byHash.clear();
  }

  /** Forgets everything. Calls that are under way are aborted. */
  close(): void {
    clearInterval(this.#sweep);
    this.#closing.abort(
      new SallyportError('plugin_failed', { detail: 'the plugin was closed: the configuration was replaced, or the gateway is stopping' }),
    );
    this.clear();
  }

  #slot({ raw, context, caller }: CredentialKey): CredentialSlot {
    const known = this.#byKey.get(raw);
    if (known !== undefined) return known;
    const hash = contextHash(context, caller);
    const slot = this.#byHash.get(hash) ?? new CredentialSlot();
    this.#byHash.set(hash, slot);
    this.#byKey.set(raw, slot);
    return slot;
  }

  async #askFor(slot: CredentialSlot, ask: AskPlugin, signal: AbortSignal): Promise<Obtained> {
    const answer = await ask(signal);
    return { credential: slot.adopt(answer, Date.now()) ?? answer.credential, changes: answer.changes };
  }

  /** A call that goes on when whoever began it goes away: others may be waiting for it. */
  #lead(slot: CredentialSlot, ask: AskPlugin, remembers: (error: SallyportError) => boolean): Promise<Obtained> {
    const asking = this.#askFor(slot, ask, this.#closing.signal).finally(() => {
      slot.flight = null;
    });
    slot.flight = asking.then(
      () => slot.current(Date.now()),
      (error: unknown) => {
        const failure = asSallyportError(error);
        if (remembers(failure)) slot.fail(failure, Date.now());
        throw failure;
      },
    );
    // Nobody may be waiting.
    slot.flight.catch(() => {});
    return asking;
  }

  async #share(slot: CredentialSlot, flight: Promise<CachedCredential | null>, ask: AskPlugin, signal: AbortSignal): Promise<Obtained> {
    let credential: CachedCredential | null = null;
    try {
      credential = await untilGone(flight, signal);
    } catch (error) {
      if (signal.aborted || !isCallersFault(asSallyportError(error))) throw error;
    }
    if (credential !== null) return { credential, changes: null };
    // What came out was for the request that was asked about, and says nothing about this one.
    return await this.#askFor(slot, ask, signal);
  }

  #dropExpired(): void {
    const now = Date.now();
    for (const slots of [this.#byKey, this.#byHash]) for (const slot of slots.values()) slot.current(now);
  }
}
