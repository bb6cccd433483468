import { SallyportError } from '@sallyport/sdk';
import { CompiledQuery, type Kysely, sql } from 'kysely';
import type { Pool } from 'pg';
import type { Database } from '../database/open-database.js';
import type { Queryable, Schema } from '../database/schema.js';

/** The last step of graphile-worker's own schema in the version that is installed. */
const ENGINE_SCHEMA = 19;
/** Any number will do that nobody else takes for its advisory locks in the same database. */
const LOCK = 7_255_967_226;

/**
 * Brings the schema of graphile-worker up to date, by its own migrations and under a lock. On SQLite there is nothing to do. Refuses a schema that is
 * newer than the installed version knows with `schema_unknown`.
 */
export async function migrateTaskEngine(database: Database): Promise<void> {
  if (database.dialect === 'sqlite') return;
  if ((await engineSchemaOf(database.db)) === ENGINE_SCHEMA) return;
  const { runMigrations } = await import('graphile-worker');
  await database.db.connection().execute(async (db) => {
    await sql`select pg_advisory_lock(${LOCK})`.execute(db);
    try {
      refuseNewer(await engineSchemaOf(db));
      await runMigrations({ pgPool: asPool(db), logger: await quiet() });
    } finally {
      await sql`select pg_advisory_unlock(${LOCK})`.execute(db);
    }
  });
}

/** Rejects unless the schema of graphile-worker is the one that is installed: `schema_outdated` or `schema_unknown`. */
export async function requireTaskEngine(database: Database): Promise<void> {
  if (database.dialect === 'sqlite') return;
  const found = await engineSchemaOf(database.db);
  refuseNewer(found);
  if (found < ENGINE_SCHEMA) throw engineOutdated();
}

/** That the tables of graphile-worker are missing. */
export function engineOutdated(cause?: unknown): SallyportError {
  return new SallyportError('schema_outdated', {
    detail: 'The tables of graphile-worker are not up to date.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A logger for graphile-worker that says nothing: what it has to say quotes payloads. Its failures come by its events and promises. */
export async function quiet(): Promise<import('graphile-worker').Logger> {
  const { Logger } = await import('graphile-worker');
  return new Logger(() => () => undefined);
}

async function engineSchemaOf(db: Queryable): Promise<number> {
  const known = await sql`select 1 where to_regclass('graphile_worker.migrations') is not null`.execute(db);
  if (known.rows.length === 0) return 0;
  const { rows } = await sql<{ last: number | null }>`select max(id) as last from graphile_worker.migrations`.execute(db);
  return rows[0]?.last ?? 0;
}

function refuseNewer(found: number): void {
  if (found > ENGINE_SCHEMA)
    throw new SallyportError('schema_unknown', { detail: `graphile-worker has step ${found}, which this program does not have.` });
}

/** One connection of ours as the pool that graphile-worker asks for: its migrations need nothing but queries, one after the other. */
function asPool(db: Kysely<Schema>): Pool {
  const query = async (given: string | { text: string; values?: readonly unknown[] }, parameters?: readonly unknown[]): Promise<unknown> => {
    const { text, values = [] } = typeof given === 'string' ? { text: given, values: parameters } : given;
    return db.executeQuery(CompiledQuery.raw(text, [...values]));
  };
  const client = { query, on: () => undefined, removeListener: () => undefined, release: () => undefined };
  const pool = {
    connect: async () => client,
    query,
    listeners: () => [() => undefined],
    on: () => undefined,
    removeListener: () => undefined,
    options: {},
  };
  // It has what is used of a pool, and nothing else.
  return pool as unknown as Pool;
}
