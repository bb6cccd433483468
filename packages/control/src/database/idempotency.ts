import { SallyportError } from '@sallyport/sdk';
import type { Transaction } from 'kysely';
import { canonicalJson, type Json } from './canonical-json.js';
import { isUniqueViolation } from './database-error.js';
import type { Database } from './open-database.js';
import { pause } from './pause.js';
import type { Queryable, Schema } from './schema.js';
import type { Sealer } from './sealer.js';

/** A request that may be a repetition. */
export interface IdempotentRequest {
  /** What the client sent in Idempotency-Key. */
  readonly key: string;
  /** Keys of one actor are none of another's business. */
  readonly actorId: string;
  /** Of everything that makes it this request; see {@link requestDigest}. */
  readonly requestDigest: string;
}

export interface IdempotencyOptions {
  readonly sealer: Sealer;
  /** How long an outcome is kept: a day when left out. */
  readonly lifetimeMs?: number;
  /** How long a repetition waits for the outcome of a request that is being worked on. 2 s when left out. */
  readonly waitMs?: number;
  readonly now?: () => number;
}

/** What the request led to, now or the first time. */
export interface IdempotentOutcome<Outcome> {
  readonly outcome: Outcome;
  readonly replayed: boolean;
}

const DAY_MS = 86_400_000;
const ATTEMPTS = 3;
const POLL_MS = 20;

/** The digest of a request: keyed, because a body may hold a secret that is short enough to be tried out. */
export function requestDigest(sealer: Sealer, method: string, path: string, body: Json): string {
  return sealer.digest(canonicalJson([method, path, body]), 'idempotent request');
}

/**
 * Does `work` once per key and actor. The claim on the key is part of the first transaction that `work` commits: either both are there afterwards or
 * neither, whatever happens to the process. The outcome (sealed) is stored as soon as it is known, and a repetition gets it; one that comes before,
 * or after a process died in that moment, is told so with `idempotency_outcome_pending` and changes nothing. The same key on another request is
 * refused with `idempotency_key_reused`. Work that fails before it has changed anything may be tried again.
 */
export async function withIdempotency<Outcome extends Json>(
  database: Database,
  request: IdempotentRequest,
  work: () => Promise<Outcome>,
  options: IdempotencyOptions,
): Promise<IdempotentOutcome<Outcome>> {
  if (!/^[\x21-\x7e]{1,255}$/.test(request.key)) throw new SallyportError('idempotency_key_invalid');
  for (let attempt = 1; ; attempt += 1) {
    const stored = await knownOutcome<Outcome>(database.db, request, options);
    if (stored !== undefined) return { outcome: stored, replayed: true };
    try {
      const { result, joined } = await database.accompanied((trx) => claim(trx, request, options), work);
      if (joined) await storeOutcome(database.db, request, result, options);
      return { outcome: result, replayed: false };
    } catch (error) {
      // Somebody took the key between the look and the claim: there is an outcome now, or there soon will be.
      if (!isUniqueViolation(error, 'idempotency_keys') || attempt >= ATTEMPTS) throw error;
    }
  }
}

/** The stored outcome; waits a while for the one of a request that is being worked on. Undefined when the key is free. */
async function knownOutcome<Outcome extends Json>(
  db: Queryable,
  request: IdempotentRequest,
  options: IdempotencyOptions,
): Promise<Outcome | undefined> {
  const { waitMs = 2_000 } = options;
  const patience = AbortSignal.timeout(waitMs);
  for (;;) {
    const found = await findOutcome<Outcome>(db, request, options);
    if (found !== 'pending') return found;
    if (patience.aborted) throw new SallyportError('idempotency_outcome_pending', { members: { retry_after: 1 } });
    await pause(POLL_MS, undefined);
  }
}

async function findOutcome<Outcome extends Json>(db: Queryable, request: IdempotentRequest, options: IdempotencyOptions) {
  const { sealer, now = Date.now } = options;
  const { key, actorId, requestDigest: digest } = request;
  const query = db.selectFrom('idempotency_keys').selectAll().where('actor_id', '=', actorId).where('key', '=', key);
  const stored = await query.where('expires_at', '>', now()).executeTakeFirst();
  if (stored === undefined) return undefined;
  if (stored.request_digest !== digest) throw new SallyportError('idempotency_key_reused');
  if (stored.outcome === '') return 'pending' as const;
  const text = sealer.open(stored.outcome, contextOf(request));
  // Sealed with a key that is gone: what it was cannot be said, and doing it twice is what the client asked not to do.
  if (text === undefined) throw new SallyportError('idempotency_key_reused', { detail: 'The stored outcome cannot be read any more.' });
  return JSON.parse(text) as Outcome;
}

/** A repetition in another process waits at the index until this transaction has ended. */
async function claim(
  trx: Transaction<Schema>,
  request: IdempotentRequest,
  { lifetimeMs = DAY_MS, now = Date.now }: IdempotencyOptions,
): Promise<void> {
  const { key, actorId: actor_id, requestDigest: request_digest } = request;
  const created_at = now();
  const expired = trx.deleteFrom('idempotency_keys').where('actor_id', '=', actor_id).where('key', '=', key).where('expires_at', '<=', created_at);
  await expired.execute();
  const row = { actor_id, key, request_digest, outcome: '', created_at, expires_at: created_at + lifetimeMs };
  await trx.insertInto('idempotency_keys').values(row).execute();
}

async function storeOutcome(db: Queryable, request: IdempotentRequest, outcome: Json, { sealer }: IdempotencyOptions): Promise<void> {
  const sealed = sealer.seal(JSON.stringify(outcome), contextOf(request));
  const update = db.updateTable('idempotency_keys').set({ outcome: sealed }).where('actor_id', '=', request.actorId).where('key', '=', request.key);
  await update.where('request_digest', '=', request.requestDigest).execute();
}

function contextOf({ actorId, key }: IdempotentRequest): string {
  return `idempotent outcome ${canonicalJson([actorId, key])}`;
}
