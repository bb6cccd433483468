import { sql } from 'kysely';
import type { Queryable } from '../database/schema.js';
import { parentOf } from '../namespaces/namespace-path.js';
import type { CiphertextPlace } from './envelope.js';
import { keyTables } from './key-tables.js';
import { keyDataPlace } from './keyring.js';

/** A row as re-encryption reads it. */
export type EncryptedRow = Readonly<Record<string, unknown>>;

/**
 * A column of envelopes (or null). The table has a text column that tells the rows apart and one with the namespace. An index on
 * `(substr(COLUMN, 8, 40), ID)` keeps the question which versions are in use cheap: the id of the version stands there.
 */
export interface EncryptedColumn {
  readonly table: string;
  readonly column: string;
  /** `id` when left out. */
  readonly id?: string;
  /** `namespace` when left out. */
  readonly namespace?: string;
  /** Further columns that `hosts` reads. */
  readonly also?: readonly string[];
  /** For credentials: the permitted hosts that the ciphertext is bound to. */
  readonly hosts?: (row: EncryptedRow) => readonly string[] | undefined;
  /** Which namespace's key encrypts a row; its own when left out. Null is the global key. */
  readonly keyNamespace?: (namespace: string) => string | null;
}

/** The columns that hold ciphertexts, of all domains. Each domain adds its own when the control plane is put together. */
export interface EncryptedColumns {
  /** Adds a column. Throws when it is there already. */
  registerEncryptedColumn(column: EncryptedColumn): void;
  all(): readonly EncryptedColumn[];
}

/** A registry that knows the column of this domain: where the providers of keys are. */
export function createEncryptedColumns(): EncryptedColumns {
  const columns = new Map<string, EncryptedColumn>();
  function registerEncryptedColumn(column: EncryptedColumn): void {
    const name = `${column.table}.${column.column}`;
    if (columns.has(name)) throw new Error(`The encrypted column ${name} is registered twice.`);
    columns.set(name, column);
  }
  const { table, column } = keyDataPlace({ id: '', namespace: '' });
  registerEncryptedColumn({ table, column, keyNamespace: (namespace) => parentOf(namespace) ?? null });
  return { registerEncryptedColumn, all: () => [...columns.values()] };
}

/** The place of a row, which its ciphertext is bound to. */
export function placeOf(column: EncryptedColumn, row: EncryptedRow): CiphertextPlace {
  const namespace = String(row[column.namespace ?? 'namespace']);
  return { table: column.table, column: column.column, row: String(row[column.id ?? 'id']), namespace, hosts: column.hosts?.(row) };
}

/** A page of the rows that have a ciphertext, in the order of their ids. */
export async function encryptedRowsAfter(db: Queryable, column: EncryptedColumn, after: string, limit: number): Promise<readonly EncryptedRow[]> {
  const id = sql.ref(column.id ?? 'id');
  const condition = sql`${id} > ${after} and ${sql.ref(column.column)} is not null order by ${id} limit ${limit}`;
  return (await sql<EncryptedRow>`select ${selected(column)} from ${sql.table(column.table)} where ${condition}`.execute(db)).rows;
}

/** One row as it is now; null when it is gone or holds no ciphertext any more. */
export async function encryptedRow(db: Queryable, column: EncryptedColumn, id: string): Promise<EncryptedRow | null> {
  const condition = sql`${sql.ref(column.id ?? 'id')} = ${id} and ${sql.ref(column.column)} is not null`;
  return (await sql<EncryptedRow>`select ${selected(column)} from ${sql.table(column.table)} where ${condition}`.execute(db)).rows[0] ?? null;
}

/** Replaces a ciphertext if it is still the one that was read, in the place where it was read; false otherwise. */
export async function replaceCiphertext(db: Queryable, column: EncryptedColumn, row: EncryptedRow, replacement: string): Promise<boolean> {
  const [target, id, namespace] = [sql.ref(column.column), sql.ref(column.id ?? 'id'), sql.ref(column.namespace ?? 'namespace')];
  const place = placeOf(column, row);
  const condition = sql`${id} = ${place.row} and ${namespace} = ${place.namespace} and ${target} = ${row[column.column]}`;
  const { numAffectedRows } = await sql`update ${sql.table(column.table)} set ${target} = ${replacement} where ${condition}`.execute(db);
  return numAffectedRows === 1n;
}

/** The first column that still has a ciphertext of one of these versions, or null when nothing uses them. */
export async function columnUsing(db: Queryable, columns: EncryptedColumns, versionIds: readonly string[]): Promise<EncryptedColumn | null> {
  for (const column of columns.all()) {
    for (const versionId of versionIds) {
      const condition = sql`substr(${sql.ref(column.column)}, 8, 40) = ${versionId} limit 1`;
      const { rows } = await sql`select 1 from ${sql.table(column.table)} where ${condition}`.execute(db);
      if (rows.length > 0) return column;
    }
  }
  return null;
}

/** A namespace that a key is assigned to, or null. */
export async function namespaceAssigned(db: Queryable, keyId: string): Promise<string | null> {
  const query = keyTables(db).selectFrom('namespace_encryption_keys').select('namespace').where('key_id', '=', keyId);
  return (await query.limit(1).executeTakeFirst())?.namespace ?? null;
}

function selected(column: EncryptedColumn) {
  return sql.join([column.id ?? 'id', column.namespace ?? 'namespace', column.column, ...(column.also ?? [])].map((name) => sql.ref(name)));
}
