import { SallyportError } from '@sallyport/sdk';
import { abortable } from './abortable.js';
import type { Material } from './material.js';
import type { Source } from './source.js';
import { errorCode, unavailable } from './unavailable.js';

/** How a credential is kept fresh. All times are milliseconds. */
export interface CredentialOptions {
  /** Its name in the configuration; appears in errors. */
  readonly name: string;
  readonly source: Source;
  /** The refresh begins at the latest this long before the expiry; 60 s when left out. */
  readonly refreshAheadMs?: number;
  /** A fetch that takes longer is aborted; 30 s when left out. */
  readonly flightTimeoutMs?: number;
  /** Told of every failed fetch, background refreshes included, which no caller sees. Must not throw. */
  readonly onFailure?: (error: SallyportError) => void;
  /** Milliseconds since the epoch; `Date.now` when left out. */
  readonly now?: () => number;
  /** From 0 up to 1, for the jitter of the back-off; `Math.random` when left out. */
  readonly random?: () => number;
}

const REFRESH_AHEAD_MS = 60_000;
const FLIGHT_TIMEOUT_MS = 30_000;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_LAST_MS = 60_000;
const BACKOFF_JITTER = 0.25;

/**
 * A named secret that is kept fresh. At most one fetch is under way at any time, and expired material is never handed out.
 *
 * The refresh is due at 75 % of the lifetime or `refreshAheadMs` before the expiry, whichever comes first, but not in the first half of the
 * lifetime. It begins with the next use after that (a credential that nobody uses is not fetched), or at once when the source reports a
 * change. Until it succeeds the old material stays in use for as long as it is valid.
 *
 * After a failure nothing is fetched for 1 s, doubling with each further failure up to 60 s, plus up to 25 % jitter. A caller for whom
 * there is no material meets the remembered error then.
 */
export class Credential {
  readonly name: string;
  readonly #source: Source;
  readonly #refreshAheadMs: number;
  readonly #flightTimeoutMs: number;
  readonly #onFailure: (error: SallyportError) => void;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #unwatch: () => void;

  #material: Material | null = null;
  #generation = 0;
  /** From here on a use begins a refresh; infinite when the material neither expires nor has changed at its source. */
  #refreshAt = Number.POSITIVE_INFINITY;
  #flight: Promise<Material> | null = null;
  #flightAbort: AbortController | null = null;
  /** The source reported a change while a fetch was under way: that fetch may have read the old state. */
  #changedInFlight = false;
  #failure: SallyportError | null = null;
  #failures = 0;
  #retryAt = 0;
  #closed: SallyportError | null = null;

  constructor(options: CredentialOptions) {
    this.name = options.name;
    this.#source = options.source;
    this.#refreshAheadMs = options.refreshAheadMs ?? REFRESH_AHEAD_MS;
    this.#flightTimeoutMs = options.flightTimeoutMs ?? FLIGHT_TIMEOUT_MS;
    this.#onFailure = options.onFailure ?? (() => {});
    this.#now = options.now ?? Date.now;
    this.#random = options.random ?? Math.random;
    this.#unwatch = this.#source.watch?.(() => this.#changed()) ?? (() => {});
  }

  /** Whether the source could hand out something else than before: otherwise there is no sense in `invalidate`. */
  get renewable(): boolean {
    return this.#source.constant !== true;
  }

  /** Changes whenever the material changes or is forgotten, and only grows: what was rendered under the same number is still good. */
  get generation(): number {
    return this.#generation;
  }

  /** The material if valid material is in hand, null otherwise. Begins the refresh in the background when it is due. */
  current(): Material | null {
    const material = this.#material;
    if (material === null || this.#refreshAt === Number.POSITIVE_INFINITY) return material;
    const now = this.#now();
    if (now < this.#refreshAt) return material;
    if (material.expiresAt !== null && material.expiresAt <= now) {
      this.#forget();
      return null;
    }
    if (this.#flight === null && this.#waitMs(now) === 0) void this.#depart();
    return material;
  }

  /**
   * Valid material, fetched if need be. All callers share one fetch, which goes on when they go away. An abort rejects this caller at once
   * with the reason of its signal; every other failure is a `SallyportError`, mostly `credential_unavailable`, with the members
   * `credential` (the name) and `retry_after` (whole seconds until the next fetch may begin).
   */
  async resolve(signal?: AbortSignal): Promise<Material> {
    signal?.throwIfAborted();
    if (this.#closed !== null) throw this.#closed;
    const material = this.current();
    if (material !== null) return material;
    const wait = this.#waitMs(this.#now());
    if (this.#flight === null && this.#failure !== null && wait > 0) throw withWait(this.#failure, wait);
    const flight = this.#flight ?? this.#depart();
    return await (signal === undefined ? flight : abortable(flight, signal));
  }

  /**
   * Forgets the material, for example after the upstream refused it, so that the next use fetches anew. Does nothing unless it still is
   * `seen`: of many callers that were refused with the same material only the first has an effect. Whoever calls this bounds how often.
   */
  invalidate(seen: Material): void {
    if (this.#material === seen) this.#forget();
  }

  /** Forgets the material, ends the watch and the fetch under way; `resolve` rejects from now on, for those who wait as well. */
  close(): void {
    if (this.#closed !== null) return;
    this.#closed = unavailable(`Credential ${this.name}: closed.`, 'Try again: the configuration was replaced, or Sallyport is stopping.');
    this.#flightAbort?.abort(this.#closed);
    this.#unwatch();
    this.#forget();
  }

  #depart(): Promise<Material> {
    const flight = this.#fly();
    this.#flight = flight;
    // A refresh that nobody waits for may fail; those who wait learn of it through their own promise.
    flight.catch(() => {});
    return flight;
  }

  async #fly(): Promise<Material> {
    const abort = new AbortController();
    this.#flightAbort = abort;
    const timer = setTimeout(() => abort.abort(this.#tookTooLong()), this.#flightTimeoutMs);
    const fetch = async (): Promise<Material> => await this.#source.fetch(abort.signal);
    try {
      const material = await abortable(fetch(), abort.signal);
      this.#adopt(material);
      return material;
    } catch (error) {
      throw this.#closed ?? this.#remember(error);
    } finally {
      clearTimeout(timer);
      this.#flight = null;
      this.#flightAbort = null;
      if (this.#changedInFlight) this.#changed();
    }
  }

  #adopt(material: Material): void {
    // Closed after the source had answered but before the answer came here.
    if (this.#closed !== null) throw this.#closed;
    const now = this.#now();
    const { expiresAt } = material;
    if (expiresAt !== null && expiresAt <= now) {
      throw unavailable('The source handed out material that had expired.', 'Renew it at its source, and check the clock of this machine.');
    }
    this.#material = material;
    this.#generation += 1;
    this.#refreshAt = expiresAt === null ? Number.POSITIVE_INFINITY : refreshTime(now, expiresAt, this.#refreshAheadMs);
    this.#clearFailure();
  }

  #forget(): void {
    if (this.#material === null) return;
    this.#material = null;
    this.#generation += 1;
  }

  #changed(): void {
    if (this.#closed !== null) return;
    this.#changedInFlight = this.#flight !== null;
    // What failed before the change says nothing about the state after it.
    this.#clearFailure();
    if (this.#flight !== null || this.#material === null) return;
    this.#refreshAt = Number.NEGATIVE_INFINITY;
    void this.#depart();
  }

  #clearFailure(): void {
    this.#failure = null;
    this.#failures = 0;
    this.#retryAt = 0;
  }

  #remember(error: unknown): SallyportError {
    const delay = Math.min(BACKOFF_FIRST_MS * 2 ** this.#failures, BACKOFF_LAST_MS) * (1 + BACKOFF_JITTER * this.#random());
    this.#failures += 1;
    this.#retryAt = this.#now() + delay;
    this.#failure = this.#named(error);
    const failure = withWait(this.#failure, delay);
    this.#onFailure(failure);
    return failure;
  }

  #named(error: unknown): SallyportError {
    const known =
      error instanceof SallyportError
        ? error
        : unavailable(`The source (${this.#source.description}) failed unexpectedly: ${errorCode(error)}.`, 'Please report it with this text.');
    return new SallyportError(known.code, {
      detail: `Credential ${this.name}: ${known.message}`,
      hint: known.hint,
      members: { ...known.members, credential: this.name },
      cause: known.cause,
    });
  }

  #tookTooLong(): SallyportError {
    const detail = `The source (${this.#source.description}) did not answer within ${this.#flightTimeoutMs / 1000} s.`;
    return unavailable(detail, 'Check that what the source asks can be reached from this machine.');
  }

  /** Milliseconds until a fetch may begin, 0 when it may now. A wait longer than any back-off means that the clock was set back. */
  #waitMs(now: number): number {
    const wait = this.#retryAt - now;
    return wait > 0 && wait <= BACKOFF_LAST_MS * (1 + BACKOFF_JITTER) ? wait : 0;
  }
}

function refreshTime(now: number, expiresAt: number, aheadMs: number): number {
  const lifetime = expiresAt - now;
  return now + Math.max(lifetime * 0.5, Math.min(lifetime * 0.75, lifetime - aheadMs));
}

function withWait(error: SallyportError, waitMs: number): SallyportError {
  const members = { ...error.members, retry_after: Math.ceil(waitMs / 1000) };
  return new SallyportError(error.code, { detail: error.message, hint: error.hint, members, cause: error.cause });
}
