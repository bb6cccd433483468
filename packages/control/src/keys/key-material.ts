import { SallyportError } from '@sallyport/sdk';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import type { Queryable } from '../database/schema.js';
import { randomKey } from './aes-gcm.js';
import { changeKey, findKey, GLOBAL_KEY, insertActiveVersion, keysAfter, versionsOf } from './key-store.js';
import { type KeyRow, keyTables } from './key-tables.js';
import type { Keyring } from './keyring.js';
import { type KeyProvider, parseWrappedKey } from './provider.js';

/** A key that could not be synchronised, and the code of the error. */
interface SyncFailure {
  readonly keyId: string;
  readonly code: string;
}

/** What a synchronisation found. */
export interface SyncResult {
  readonly checked: number;
  /** Keys whose provider had new material; they have a new active version now. */
  readonly rotated: readonly string[];
  readonly failures: readonly SyncFailure[];
}

const PAGE = 100;
const TIMEOUT_MS = 60_000;
const KEY_TIMEOUT_MS = 30_000;
/** Keys that are asked about at the same time. */
const AT_ONCE = 8;

/**
 * Wraps every data key of a key with the material that `to` has now, and makes a new active one. All of it or nothing, and nothing (false) when
 * somebody changed the key meanwhile. Rejects when a data key cannot be unwrapped any more: going on would lose what it encrypted.
 */
export async function replaceMaterial(
  database: Database,
  keyring: Keyring,
  key: KeyRow,
  to: KeyProvider,
  change: Partial<KeyRow>,
  now: number,
  recorded?: (trx: Queryable) => Promise<void>,
): Promise<boolean> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const rewrapped: { id: string; wrapped: string }[] = [];
  for (const version of await versionsOf(database.db, key.id)) {
    if (version.wrapped === null) continue;
    rewrapped.push({ id: version.id, wrapped: JSON.stringify(await to.wrap(await keyring.dataKey(version.id), version.id, signal)) });
  }
  const id = newId('ekv');
  const wrapped = JSON.stringify(await to.wrap(randomKey(), id, signal));
  const done = await database.transaction(async (trx) => {
    // Whatever adds a version or destroys one counts up the version of the key, so this row stands for all of them.
    if (!(await changeKey(trx, key, change, now))) return false;
    for (const each of rewrapped) {
      const update = keyTables(trx).updateTable('encryption_key_versions').set({ wrapped: each.wrapped });
      await update.where('id', '=', each.id).where('wrapped', 'is not', null).execute();
    }
    await insertActiveVersion(trx, { id, key_id: key.id, wrapped }, now);
    await recorded?.(trx);
    return true;
  });
  keyring.refresh();
  return done;
}

/**
 * Asks the provider of every key for its newest material. Where that is newer, all data keys are wrapped with it and a new one becomes active, so
 * that new material protects new writes; re-encryption moves what is there. The global key comes first, the others a few at a time. A key that fails,
 * or whose provider does not answer within `keyTimeoutMs`, is reported and does not keep the others back.
 */
export async function syncKeys(
  database: Database,
  keyring: Keyring,
  now: number,
  signal: AbortSignal,
  keyTimeoutMs = KEY_TIMEOUT_MS,
): Promise<SyncResult> {
  const rotated: string[] = [];
  const failures: SyncFailure[] = [];
  let checked = 0;

  async function check(key: KeyRow): Promise<void> {
    checked += 1;
    const timeout = AbortSignal.timeout(keyTimeoutMs);
    try {
      if (await syncKey(database, keyring, key, now, AbortSignal.any([signal, timeout]))) rotated.push(key.id);
    } catch (error) {
      signal.throwIfAborted();
      failures.push({ keyId: key.id, code: codeOf(error, timeout) });
    }
  }

  async function checkEach(keys: Iterable<KeyRow>): Promise<void> {
    for (const key of keys) {
      signal.throwIfAborted();
      await check(key);
    }
  }

  signal.throwIfAborted();
  const global = await findKey(database.db, GLOBAL_KEY);
  if (global !== null) await check(global);
  for (let after = ''; ; ) {
    const page = await keysAfter(database.db, after, PAGE);
    // All take from one iterator. None is left behind at work when the signal ends it.
    const waiting = page.filter(({ id }) => id !== GLOBAL_KEY).values();
    await Promise.allSettled(Array.from({ length: AT_ONCE }, () => checkEach(waiting)));
    signal.throwIfAborted();
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return { checked, rotated, failures };
    after = last.id;
  }
}

/** The code that is reported; time that is up is the provider's failure, and everything else that has no code is one of this program. */
function codeOf(error: unknown, timeout: AbortSignal): string {
  if (error instanceof SallyportError) return error.code;
  return timeout.aborted && error === timeout.reason ? 'key_provider_failed' : 'internal_error';
}

async function syncKey(database: Database, keyring: Keyring, given: KeyRow, now: number, signal: AbortSignal): Promise<boolean> {
  const key = await findKey(database.db, given.id);
  if (key === null) return false;
  const provider = await keyring.providerOf(key);
  const [newest] = (await versionsOf(database.db, key.id)).filter((version) => version.state === 'active');
  if (newest?.wrapped === undefined || newest.wrapped === null) return (await keyring.addVersion(key)) !== null;
  const { provider: type, version } = parseWrappedKey(newest.wrapped);
  if (type === provider.type && version === (await provider.currentVersion(signal))) return false;
  return replaceMaterial(database, keyring, key, provider, {}, now);
}
