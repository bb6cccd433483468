import { SallyportError } from '@sallyport/sdk';
import { type AuditTrail, SYSTEM_ACTOR } from '../audit/audit-trail.js';
import type { Database } from '../database/open-database.js';
import { keyTables } from './key-tables.js';
import { keyTrail } from './key-trail.js';
import type { Keyring } from './keyring.js';

/** Gives keys new versions as they grow old. */
export interface KeyRotation {
  /**
   * A new active version for every active key whose version is older. Answers how many there were; a key whose provider is not to be had, or that
   * somebody else rotates at the same time, is left for the next look.
   */
  rotateOlder(ageMs: number, signal: AbortSignal): Promise<number>;
}

export interface KeyRotationOptions {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly audit: AuditTrail;
  readonly now?: () => number;
}

const AT_ONCE = 100;

/** The rotation of the keys in this database. */
export function createKeyRotation({ database, keyring, audit, now = Date.now }: KeyRotationOptions): KeyRotation {
  const record = keyTrail(audit);

  async function rotateOlder(ageMs: number, signal: AbortSignal): Promise<number> {
    let rotated = 0;
    for (let after = ''; ; ) {
      signal.throwIfAborted();
      const page = await selectOlder(now() - ageMs, after).execute();
      for (const key of page) {
        signal.throwIfAborted();
        const added = await keyring
          .addVersion(key, (trx) => record(trx, { actorId: SYSTEM_ACTOR }, 'rotate', { id: key.id, namespace: key.namespace }))
          .catch(noneIfUnavailable);
        if (added !== null) rotated += 1;
      }
      const last = page.at(-1);
      if (last === undefined || page.length < AT_ONCE) return rotated;
      after = last.id;
    }
  }

  /** Keys in the order of their ids whose active version was made before. */
  function selectOlder(before: number, after: string) {
    return keyTables(database.db)
      .selectFrom('encryption_keys')
      .innerJoin('encryption_key_versions as version', 'version.key_id', 'encryption_keys.id')
      .selectAll('encryption_keys')
      .where('encryption_keys.id', '>', after)
      .where('encryption_keys.deleted_at', 'is', null)
      .where('encryption_keys.state', '=', 'active')
      .where('version.state', '=', 'active')
      .where('version.created_at', '<=', before)
      .orderBy('encryption_keys.id')
      .limit(AT_ONCE);
  }

  return { rotateOlder };
}

function noneIfUnavailable(error: unknown): null {
  if (error instanceof SallyportError && (error.code === 'key_provider_failed' || error.code === 'key_provider_forbidden')) return null;
  throw error;
}
