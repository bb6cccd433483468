import { createHash, randomUUID } from 'node:crypto';
import pg from 'pg';
import { migrateTaskEngine } from '../../tasks/task-engine.js';
import { migrate } from '../migrate.js';
import { checksumOf } from '../migration.js';
import { migrations } from '../migrations.js';
import { openDatabase } from '../open-database.js';
import { sharedPostgres } from './shared-postgres.test.support.js';

/** Databases on the shared server. */
export interface PostgresDatabases {
  /** A new database, without or with all tables. Answers its URL. */
  create(content: 'empty' | 'migrated'): Promise<string>;
  /** Removes the databases it made, whoever is still connected. */
  close(): Promise<void>;
}

/** Any number that only the makers of the template take for a lock. */
const TEMPLATE_LOCK = 1;

/** Connects to the shared server, and starts it when nobody has before. */
export async function openPostgresDatabases(): Promise<PostgresDatabases> {
  const server = await sharedPostgres();
  const pool = new pg.Pool({ connectionString: `${server}postgres`, max: 1 });
  const names: string[] = [];
  let template: Promise<string> | undefined;

  function migrated(): Promise<string> {
    template ??= migratedTemplate(pool, server);
    return template;
  }

  async function create(content: 'empty' | 'migrated'): Promise<string> {
    const from = content === 'empty' ? 'template1' : await migrated();
    const name = `test_${randomUUID()}`;
    await createDatabase(pool, name, from);
    names.push(name);
    return server + name;
  }

  async function close(): Promise<void> {
    for (const name of names) await pool.query(`drop database "${name}" with (force)`);
    await pool.end();
  }

  return { create, close };
}

/** Copying the files of a database is several times faster here than what Postgres does by default, writing each page to its log. */
async function createDatabase(on: pg.Pool | pg.PoolClient, name: string, template: string): Promise<void> {
  await on.query(`create database "${name}" template "${template}" strategy file_copy`);
}

/**
 * The database with all tables that the others are copied from; the first file that needs it makes it. It is named for the text of all migrations, so
 * that a run that watches for changes makes a new one after a change.
 */
async function migratedTemplate(pool: pg.Pool, server: string): Promise<string> {
  const checksums = migrations.map((migration) => checksumOf(migration, 'postgres'));
  const name = `migrated_${createHash('sha256').update(checksums.join()).digest('hex').slice(0, 32)}`;
  const client = await pool.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await makeTemplate(client, server, name);
    return name;
  } finally {
    // The lock goes with the connection.
    client.release(true);
  }
}

/** It gets its name when it is complete: one that was begun and not finished is nobody's template. */
async function makeTemplate(client: pg.PoolClient, server: string, name: string): Promise<void> {
  const unfinished = `making_${randomUUID()}`;
  await createDatabase(client, unfinished, 'template1');
  const database = openDatabase({ provider: 'postgres', url: server + unfinished });
  try {
    await migrate(database);
    await migrateTaskEngine(database);
  } finally {
    await database.close();
  }
  await client.query(`alter database "${unfinished}" rename to "${name}"`);
}
