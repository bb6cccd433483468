import { SallyportError } from '@sallyport/sdk';
import type { Transaction } from 'kysely';
import { canonicalJson, type Json } from './canonical-json.js';
import { isUniqueViolation } from './database-error.js';
import type { Database, TransactionOptions } from './open-database.js';
import type { Schema } from './schema.js';
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
  readonly now?: () => number;
  readonly transaction?: TransactionOptions;
}

/** What the request led to, now or the first time. */
export interface IdempotentOutcome<Outcome> {
  readonly outcome: Outcome;
  readonly replayed: boolean;
}

const DAY_MS = 86_400_000;
const ATTEMPTS = 3;

/** The digest of a request: keyed, because a body may hold a secret that is short enough to be tried out. */
export function requestDigest(sealer: Sealer, method: string, path: string, body: Json): string {
  return sealer.digest(canonicalJson([method, path, body]), 'idempotent request');
}

/**
 * Does `work` once per key and actor, and stores its outcome (sealed) in the same transaction: either both are there afterwards or neither. A
 * repetition gets the stored outcome; one that runs at the same time waits for the first. The same key on another request is refused with
 * `idempotency_key_reused`. Work that fails is not stored, so it may be tried again.
 */
export async function withIdempotency<Outcome extends Json>(
  database: Database,
  request: IdempotentRequest,
  work: (trx: Transaction<Schema>) => Promise<Outcome>,
  options: IdempotencyOptions,
): Promise<IdempotentOutcome<Outcome>> {
  if (!/^[\x21-\x7e]{1,255}$/.test(request.key)) throw new SallyportError('idempotency_key_invalid');
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await database.transaction((trx) => once(trx, request, work, options), options.transaction);
    } catch (error) {
      // Another process took the key between the look and the claim. Its outcome is there now, or its failure has freed the key.
      if (!isUniqueViolation(error, 'idempotency_keys') || attempt >= ATTEMPTS) throw error;
    }
  }
}

async function once<Outcome extends Json>(
  trx: Transaction<Schema>,
  request: IdempotentRequest,
  work: (trx: Transaction<Schema>) => Promise<Outcome>,
  options: IdempotencyOptions,
): Promise<IdempotentOutcome<Outcome>> {
  const { sealer, lifetimeMs = DAY_MS, now = Date.now } = options;
  const { key, actorId, requestDigest: digest } = request;
  const time = now();
  const context = `idempotent outcome ${canonicalJson([actorId, key])}`;
  const stored = await trx.selectFrom('idempotency_keys').selectAll().where('actor_id', '=', actorId).where('key', '=', key).executeTakeFirst();
  if (stored !== undefined && stored.expires_at > time) {
    if (stored.request_digest !== digest) throw new SallyportError('idempotency_key_reused');
    const text = sealer.open(stored.outcome, context);
    // Sealed with a key that is gone: what it was cannot be said, and doing it twice is what the client asked not to do.
    if (text === undefined) throw new SallyportError('idempotency_key_reused', { detail: 'The stored outcome cannot be read any more.' });
    return { outcome: JSON.parse(text) as Outcome, replayed: true };
  }
  if (stored !== undefined) await trx.deleteFrom('idempotency_keys').where('actor_id', '=', actorId).where('key', '=', key).execute();
  // The claim comes before the work: a repetition in another process waits at the index until this transaction has ended.
  await trx
    .insertInto('idempotency_keys')
    .values({ actor_id: actorId, key, request_digest: digest, outcome: '', created_at: time, expires_at: time + lifetimeMs })
    .execute();
  const outcome = await work(trx);
  await trx
    .updateTable('idempotency_keys')
    .set({ outcome: sealer.seal(JSON.stringify(outcome), context) })
    .where('actor_id', '=', actorId)
    .where('key', '=', key)
    .execute();
  return { outcome, replayed: false };
}
