import { SallyportError } from '@sallyport/sdk';
import { sql } from 'kysely';
import { columnTypes } from './column-types.js';
import { checksumOf, type Migration } from './migration.js';
import { migrations as all } from './migrations.js';
import type { Database } from './open-database.js';
import type { Dialect, Queryable, SchemaMigrationsTable } from './schema.js';

export interface MigrateOptions {
  /** All there are when left out. */
  readonly migrations?: readonly Migration[];
  readonly signal?: AbortSignal;
}

/** Any number will do that no other program takes for its advisory locks in the same database. */
const LOCK = 7_255_967_225;

/**
 * Brings the schema up to date, one step after the other, each in a transaction of its own and under a lock: processes that start at the same time
 * run each step once. Answers the steps that this call ran. Refuses a schema that is newer or altered with `schema_unknown`.
 */
export async function migrate(database: Database, options: MigrateOptions = {}): Promise<readonly Migration[]> {
  const migrations = inOrder(options.migrations ?? all);
  const ran: Migration[] = [];
  // The next step is looked up under the lock: another process may have run it while this one waited.
  for (;;) {
    const step = await database.transaction(
      async (trx) => {
        await lock(trx, database.dialect);
        await trx.executeQuery(sql.raw(historyTable(database.dialect)).compile(trx));
        const pending = pendingOf(await appliedOf(trx), migrations, database.dialect);
        const next = pending[0];
        if (next !== undefined) await apply(trx, next, database.dialect);
        return next;
      },
      // The look at the history must see what was committed while this transaction waited for the lock.
      { isolation: 'read committed', ...(options.signal === undefined ? {} : { signal: options.signal }) },
    );
    if (step === undefined) return ran;
    ran.push(step);
  }
}

/**
 * Rejects unless the schema is exactly the one this program knows: `schema_outdated` when steps are missing, `schema_unknown` when it is newer or a
 * step was altered. Changes nothing.
 */
export async function requireKnownSchema(database: Database, migrations: readonly Migration[] = all): Promise<void> {
  const applied = (await hasHistory(database)) ? await appliedOf(database.db) : [];
  const pending = pendingOf(applied, inOrder(migrations), database.dialect);
  if (pending.length === 0) return;
  throw new SallyportError('schema_outdated', { detail: `Not applied yet: ${pending.map(describe).join(', ')}.` });
}

function pendingOf(applied: readonly SchemaMigrationsTable[], migrations: readonly Migration[], dialect: Dialect): readonly Migration[] {
  const known = new Map(migrations.map((migration) => [migration.number, migration]));
  for (const row of applied) {
    const migration = known.get(row.number);
    if (migration === undefined) {
      throw new SallyportError('schema_unknown', { detail: `The database has step ${describe(row)}, which this program does not have.` });
    }
    if (row.checksum !== checksumOf(migration, dialect)) {
      throw new SallyportError('schema_unknown', {
        detail: `Step ${describe(migration)} was applied with another text than this program has.`,
        hint: 'Run the program that made this database, or restore a backup; a step that was applied must not be edited.',
      });
    }
  }
  const done = new Set(applied.map((row) => row.number));
  return migrations.filter((migration) => !done.has(migration.number));
}

async function apply(trx: Queryable, migration: Migration, dialect: Dialect): Promise<void> {
  for (const statement of migration.statements(columnTypes(dialect))) {
    await trx.executeQuery(sql.raw(statement).compile(trx));
  }
  const { number, name } = migration;
  await trx
    .insertInto('schema_migrations')
    .values({ number, name, checksum: checksumOf(migration, dialect), applied_at: Date.now() })
    .execute();
}

/** SQLite needs none: its transactions are alone from their beginning. */
async function lock(trx: Queryable, dialect: Dialect): Promise<void> {
  if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx);
}

function historyTable(dialect: Dialect): string {
  const { text, integer, tableEnd } = columnTypes(dialect);
  return `create table if not exists schema_migrations (
    number ${integer} primary key, name ${text} not null, checksum ${text} not null, applied_at ${integer} not null
  )${tableEnd}`;
}

async function hasHistory({ db, dialect }: Database): Promise<boolean> {
  const { rows } =
    dialect === 'sqlite'
      ? await sql`select 1 from sqlite_schema where type = 'table' and name = 'schema_migrations'`.execute(db)
      : await sql`select 1 where to_regclass('schema_migrations') is not null`.execute(db);
  return rows.length > 0;
}

async function appliedOf(db: Queryable): Promise<readonly SchemaMigrationsTable[]> {
  return db.selectFrom('schema_migrations').selectAll().orderBy('number').execute();
}

function inOrder(migrations: readonly Migration[]): readonly Migration[] {
  const sorted = migrations.toSorted((a, b) => a.number - b.number);
  const twice = sorted.find((migration, index) => migration.number === sorted[index + 1]?.number);
  if (twice !== undefined) throw new Error(`Two steps of the schema have the number ${twice.number}.`);
  return sorted;
}

function describe({ number, name }: { readonly number: number; readonly name: string }): string {
  return `${String(number).padStart(4, '0')}-${name}`;
}
