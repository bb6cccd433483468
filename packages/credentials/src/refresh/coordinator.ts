import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { SallyportError, type Secret } from '@sallyport/sdk';
import { abortable } from '../abortable.js';
import type { Material } from '../material.js';
import type { TokenStore } from '../stores/token-store.js';
import { errorCode, unavailable } from '../unavailable.js';
import { bounded, NEVER } from './bounded.js';
import type { Exchange, ExchangeOutcome } from './exchange.js';
import { type Held, leaseTaker } from './lease.js';
import { sameSecret, withoutLease } from './rotation.js';
import { tokenKeeper } from './token-keeper.js';

/** How tokens are kept safe. */
export interface RefreshCoordinatorOptions {
  readonly store: TokenStore;
  /** Told of every failed attempt to save a token that the server has issued already. The token is held in memory meanwhile. Must not throw. */
  readonly onSaveError?: (key: string, error: SallyportError) => void;
  /** Milliseconds since the epoch; `Date.now` when left out. */
  readonly now?: () => number;
  /** From 0 up to 1; `Math.random` when left out. */
  readonly random?: () => number;
}

/** One refresh. */
export interface RefreshCall {
  readonly key: string;
  readonly exchange: Exchange;
  /** Milliseconds that the exchange may take. */
  readonly timeoutMs: number;
  /** Ends the wait of the caller, never an exchange that has begun: its answer is saved whether somebody waits for it or not. */
  readonly signal: AbortSignal;
}

/**
 * Presents refresh tokens in such a way that none is lost. Make one per store and process, and share it: what could not be saved yet is known to it
 * alone. Errors of both ways: those of the exchange, `token_not_found`, `token_store_failed`, `refresh_token_refused`; after `close`
 * `credential_unavailable`.
 */
export interface RefreshCoordinator {
  /**
   * For tokens that the server takes once (rotation with reuse detection, RFC 9700 §4.14.2): of all processes one presents the token at a time, and
   * never without a note in the store that it does. Also `refresh_outcome_unknown`.
   */
  refresh(call: RefreshCall): Promise<Material>;
  /** For tokens that stay valid after their use, as those of Microsoft Entra ID do: any number at a time; no save overwrites a newer token. */
  refreshReusable(call: RefreshCall): Promise<Material>;
  /** Begins nothing any more, waits for exchanges that have begun, and tries once more to save what is not saved yet. Never rejects. */
  close(): Promise<void>;
}

/** What remains of a lease for storing the answer when the exchange takes as long as it may. */
const LEASE_REST_MS = 8_000;
/** How often a token that a sibling stored is adopted and tried within one refresh. */
const ADOPTIONS = 3;

/** A coordinator for the tokens of one store. */
export function refreshCoordinator(options: RefreshCoordinatorOptions): RefreshCoordinator {
  const { now = Date.now, random = Math.random, onSaveError = (): void => {} } = options;
  const ownPrefix = `${randomUUID()}/`;
  const keeper = tokenKeeper({ store: options.store, onSaveError, random });
  const takeLease = leaseTaker({ keeper, ownPrefix, now, random });
  const tails = new Map<string, Promise<unknown>>();
  const running = new Set<Promise<unknown>>();
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);

  /** One after the other for each key, so that the processes compete for the lease and not the callers within one. */
  function inTurn(key: string, work: () => Promise<Material>): Promise<Material> {
    const turn = (tails.get(key) ?? Promise.resolve()).then(work, work);
    tails.set(key, turn);
    const leave = (): void => {
      if (tails.get(key) === turn) tails.delete(key);
    };
    turn.then(leave, leave);
    return turn;
  }

  /** The caller may go away; the work goes on, and `close` waits for it. Its waits end when the caller goes away or everything is closed. */
  async function track(signal: AbortSignal, start: (waits: AbortSignal) => Promise<Material>): Promise<Material> {
    signal.throwIfAborted();
    closing.signal.throwIfAborted();
    const waits = new AbortController();
    const stop = (): void => waits.abort(signal.aborted ? signal.reason : closing.signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    closing.signal.addEventListener('abort', stop, { once: true });
    const work = start(waits.signal).finally(() => {
      signal.removeEventListener('abort', stop);
      closing.signal.removeEventListener('abort', stop);
      running.delete(work);
    });
    running.add(work);
    return await abortable(work, signal);
  }

  async function refreshOnce({ key, exchange, timeoutMs }: RefreshCall, waits: AbortSignal): Promise<Material> {
    let refused: SallyportError | null = null;
    for (let round = 0; round <= ADOPTIONS; round += 1) {
      waits.throwIfAborted();
      const owner = ownPrefix + randomUUID();
      const held = await takeLease(key, owner, timeoutMs + LEASE_REST_MS, waits);
      const token = held.record.refreshToken;
      // A process that was paused may find its lease nearly over: a sibling would present the token while its own call is still under way.
      const late = performance.now() - held.since > LEASE_REST_MS;
      if (waits.aborted || late) {
        await release(key, owner, held.unknownBefore);
        continue;
      }
      const outcome = await call(key, exchange, token, timeoutMs, owner);
      const error = await settle(key, owner, held, outcome);
      if (error === null) return resultOf(outcome);
      refused = error;
      if (outcome.kind !== 'refused' || !(await hasOther(key, token))) break;
    }
    throw refused ?? unavailable('Taking the lease on the refresh token took too long each time.', 'Check how long the token store takes to write.');
  }

  /** Writes down what is known now. The error when there is no access token; null when there is an answer. */
  async function settle(key: string, owner: string, held: Held, outcome: ExchangeOutcome): Promise<SallyportError | null> {
    const { record, unknownBefore } = held;
    switch (outcome.kind) {
      case 'answered': {
        const successor = outcome.refreshToken;
        const rotated = successor !== null && !sameSecret(successor, record.refreshToken);
        if (rotated) await keeper.rotate(key, { presented: record.refreshToken, successor, owner });
        else await release(key, owner, null);
        return null;
      }
      case 'unknown':
        await release(key, owner, record.unknownSince);
        return outcome.error;
      case 'unused':
        await release(key, owner, unknownBefore);
        return outcome.error;
      case 'refused':
        await release(key, owner, unknownBefore);
        return unknownBefore === null ? outcome.error : outcomeUnknown(unknownBefore, outcome.error);
    }
  }

  /** A lease that cannot be given back ends by itself, and its journal entry stays: that costs a wait, not a token. */
  async function release(key: string, owner: string, unknownSince: number | null): Promise<void> {
    await keeper.update(key, (record) => withoutLease(record, owner, unknownSince), NEVER).catch(() => {});
  }

  /**
   * True when the store has another token than the one that was refused: a sibling, or a person, was faster. Superseded tokens are never tried:
   * where reuse is detected, presenting one makes the server revoke the whole family, the token that a sibling has just obtained included.
   */
  async function hasOther(key: string, refused: Secret): Promise<boolean> {
    const stored = await keeper.read(key, NEVER).catch(() => null);
    return stored !== null && !sameSecret(stored.record.refreshToken, refused);
  }

  async function refreshShared({ key, exchange, timeoutMs }: RefreshCall, waits: AbortSignal): Promise<Material> {
    for (let round = 0; ; round += 1) {
      const presented = (await keeper.read(key, waits)).record.refreshToken;
      const outcome = await call(key, exchange, presented, timeoutMs, null);
      if (outcome.kind === 'answered') {
        const successor = outcome.refreshToken;
        if (successor !== null && !sameSecret(successor, presented)) await keeper.rotate(key, { presented, successor, owner: null });
        return resultOf(outcome);
      }
      if (outcome.kind !== 'refused' || round === ADOPTIONS || !(await hasOther(key, presented))) throw outcome.error;
    }
  }

  /** The exchange, bounded. Should an answer come after that all the same, the token in it is saved. */
  async function call(key: string, exchange: Exchange, presented: Secret, timeoutMs: number, owner: string | null): Promise<ExchangeOutcome> {
    const late = (): SallyportError => new SallyportError('token_endpoint_unavailable', { detail: `There was no outcome within ${timeoutMs} ms.` });
    let inTime = true;
    const work = async (signal: AbortSignal): Promise<ExchangeOutcome> => {
      const outcome = await exchange(presented, signal);
      if (!inTime && outcome.kind === 'answered' && outcome.refreshToken !== null && !sameSecret(outcome.refreshToken, presented)) {
        await keeper.rotate(key, { presented, successor: outcome.refreshToken, owner });
      }
      return outcome;
    };
    try {
      return await bounded(work, timeoutMs, NEVER, late);
    } catch (error) {
      inTime = false;
      const known =
        error instanceof SallyportError ? error : unavailable(`The exchange failed unexpectedly: ${errorCode(error)}.`, 'Please report it.');
      return { kind: 'unknown', error: known };
    }
  }

  return {
    refresh: (one) => track(one.signal, (waits) => inTurn(one.key, () => refreshOnce(one, waits))),
    refreshReusable: (one) => track(one.signal, (waits) => refreshShared(one, waits)),
    async close() {
      closing.abort(unavailable('The refresh coordinator is closed.', 'Try again: the configuration was replaced, or Sallyport is stopping.'));
      await Promise.allSettled(running);
      await keeper.close();
    },
  };
}

function resultOf(outcome: ExchangeOutcome): Material {
  if (outcome.kind !== 'answered') throw outcome.error;
  if (outcome.result instanceof SallyportError) throw outcome.result;
  return outcome.result;
}

function outcomeUnknown(since: number, refusal: SallyportError): SallyportError {
  const detail = `The refresh token is refused, and a refresh begun at ${new Date(since).toISOString()} was never answered.`;
  return new SallyportError('refresh_outcome_unknown', { detail, cause: refusal.cause });
}
