import { SallyportError } from '@sallyport/sdk';
import type { Database } from '../database/open-database.js';
import { ciphertextInvalid } from './aes-gcm.js';
import {
  type EncryptedColumn,
  type EncryptedColumns,
  type EncryptedRow,
  encryptedRow,
  encryptedRowsAfter,
  placeOf,
  replaceCiphertext,
} from './encrypted-columns.js';
import { keyVersionOf } from './envelope.js';
import { keyTables, type ReencryptionProgressTable } from './key-tables.js';
import type { Keyring } from './keyring.js';

/** How far one column has come. `failed` counts rows that could not be read or written; the first of them is named. */
type ReencryptionProgress = Readonly<ReencryptionProgressTable>;

export interface ReencryptionOptions {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly columns: EncryptedColumns;
  /** Rows read at once; 100 when left out. */
  readonly pageSize?: number;
  readonly now?: () => number;
}

/** Brings every stored ciphertext under the active version of the key of its namespace. */
export interface Reencryption {
  /**
   * Begins a run over all columns. One that is under way, here or in a process that died, is gone on with instead, which is answered with false: what it
   * has passed already it does not look at again. A column that was registered since then joins it.
   */
  begin(): Promise<boolean>;
  /** Works through one page and notes how far it came; false when the run is complete. Several processes may step at once. */
  step(signal: AbortSignal): Promise<boolean>;
  /** Begins, and steps until the run is complete. */
  run(signal: AbortSignal): Promise<readonly ReencryptionProgress[]>;
  progress(): Promise<readonly ReencryptionProgress[]>;
}

/** How often a row is tried that somebody else changes at the same time. */
const ATTEMPTS = 20;

type Outcome = 'current' | 'changed';

export function createReencryption(options: ReencryptionOptions): Reencryption {
  const { database, keyring, columns, pageSize = 100, now = Date.now } = options;
  const { db } = database;

  async function progress(): Promise<readonly ReencryptionProgress[]> {
    return keyTables(db).selectFrom('reencryption_progress').selectAll().orderBy('table_name').orderBy('column_name').execute();
  }

  async function begin(): Promise<boolean> {
    keyring.refresh();
    return database.transaction(async (trx) => {
      const rows = await keyTables(trx).selectFrom('reencryption_progress').selectAll().execute();
      const underWay = rows.filter((row) => row.state === 'running');
      const last = rows.reduce((highest, row) => Math.max(highest, row.run), 0);
      const run = underWay.length > 0 ? last : last + 1;
      for (const { table, column } of columns.all()) {
        const known = rows.find((row) => row.table_name === table && row.column_name === column);
        if (known?.run === run) continue;
        const fresh = { run, state: 'running' as const, after_id: '', scanned: 0, changed: 0, failed: 0, first_failure: null };
        const times = { started_at: now(), updated_at: now() };
        const insert = keyTables(trx)
          .insertInto('reencryption_progress')
          .values({ table_name: table, column_name: column, ...fresh, ...times });
        await insert.onConflict((conflict) => conflict.columns(['table_name', 'column_name']).doUpdateSet({ ...fresh, ...times })).execute();
      }
      return underWay.length === 0;
    });
  }

  async function step(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    const rows = await progress();
    for (const column of columns.all()) {
      const row = rows.find(
        ({ table_name, column_name, state }) => table_name === column.table && column_name === column.column && state === 'running',
      );
      if (row === undefined) continue;
      await page(column, row, signal);
      return true;
    }
    return false;
  }

  async function page(column: EncryptedColumn, from: ReencryptionProgress, signal: AbortSignal): Promise<void> {
    const rows = await encryptedRowsAfter(db, column, from.after_id, pageSize);
    let { changed, failed, first_failure } = from;
    for (const row of rows) {
      signal.throwIfAborted();
      try {
        if ((await bringUpToDate(column, row)) === 'changed') changed += 1;
      } catch (error) {
        // A database that is not there is no fault of the row: the run stops here and is gone on with later.
        if (!(error instanceof SallyportError) || error.code.startsWith('database_')) throw error;
        failed += 1;
        first_failure ??= `${placeOf(column, row).row}: ${error.code}`;
      }
    }
    const last = rows.at(-1);
    const complete = last === undefined || rows.length < pageSize;
    const update = keyTables(db)
      .updateTable('reencryption_progress')
      .set({
        ...{ changed, failed, first_failure, updated_at: now(), scanned: from.scanned + rows.length },
        ...{ state: complete ? 'complete' : 'running', after_id: last === undefined ? from.after_id : placeOf(column, last).row },
      })
      .where('table_name', '=', column.table)
      .where('column_name', '=', column.column);
    // Another process that has been over this page already has noted it, and may be further.
    await update.where('run', '=', from.run).where('state', '=', 'running').where('after_id', '=', from.after_id).execute();
  }

  /** Reads the row anew whenever it changed meanwhile: what was written then is never overwritten, and never left behind. */
  async function bringUpToDate(column: EncryptedColumn, read: EncryptedRow): Promise<Outcome> {
    let row: EncryptedRow | null = read;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (row === null) return 'current';
      const text = row[column.column];
      if (typeof text !== 'string') throw ciphertextInvalid('It is not text.');
      const place = placeOf(column, row);
      const keyNamespace = column.keyNamespace === undefined ? place.namespace : column.keyNamespace(place.namespace);
      if (keyVersionOf(text) === (await keyring.activeVersion(keyNamespace)).id) return 'current';
      const replacement = await keyring.encrypt(place, await keyring.decrypt(place, text), keyNamespace);
      if (await replaced(column, row, replacement)) return 'changed';
      row = await encryptedRow(db, column, place.row);
    }
    throw new SallyportError('precondition_failed');
  }

  /** What can still be read stays as it is when the key of its replacement has been destroyed meanwhile. */
  function replaced(column: EncryptedColumn, row: EncryptedRow, replacement: string): Promise<boolean> {
    return database.transaction(async (trx) => {
      await keyring.requireUsable(trx, keyVersionOf(replacement));
      return replaceCiphertext(trx, column, row, replacement);
    });
  }

  async function run(signal: AbortSignal): Promise<readonly ReencryptionProgress[]> {
    await begin();
    while (await step(signal));
    return progress();
  }

  return { begin, step, run, progress };
}
