import type { Database } from '../database/open-database.js';
import { type PurgeTarget, purge } from '../database/purge.js';
import { withTables } from '../database/schema.js';
import type { UseNonce } from './verify-token.js';

interface Tables {
  used_nonces: { issuer: string; nonce: string; expires_at: number };
}

const expired: PurgeTarget = { table: 'used_nonces', key: ['issuer', 'nonce'], timeColumn: 'expires_at' };

/** Nonces in the database, so that a token is used once however many processes there are. One statement decides, on both databases. */
export function storedNonces(database: Database): UseNonce {
  return async ({ issuer, nonce, expires }, signal) => {
    signal?.throwIfAborted();
    const { numInsertedOrUpdatedRows } = await withTables<Tables>(database.db)
      .insertInto('used_nonces')
      .values({ issuer, nonce, expires_at: expires * 1000 })
      .onConflict((conflict) => conflict.columns(['issuer', 'nonce']).doNothing())
      .executeTakeFirstOrThrow();
    return numInsertedOrUpdatedRows === 1n;
  };
}

/** Forgets the nonces whose tokens have expired before `now` (milliseconds) and answers how many. To be run every hour or so. */
export function purgeNonces(database: Database, now: number, signal?: AbortSignal): Promise<number> {
  return purge(database, expired, { before: now, ...(signal === undefined ? {} : { signal }) });
}
