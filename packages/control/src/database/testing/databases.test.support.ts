import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@sallyport/sdk';
import { afterAll, beforeAll, describe } from 'vitest';
import { migrate } from '../migrate.js';
import { type Database, type DatabaseOptions, openDatabase } from '../open-database.js';
import type { Dialect } from '../schema.js';
import { createSealer } from '../sealer.js';
import { openPostgresDatabases } from './postgres-databases.test.support.js';

/** What a test on one of the two databases works with. */
export interface TestDatabases {
  readonly dialect: Dialect;
  /** A new, empty database: the options to open it with, as often as wanted. Five connections at most when left out; SQLite has its own. */
  empty(maxConnections?: number): Promise<DatabaseOptions>;
  /** A new database with all tables, to be opened in the same way. */
  migrated(maxConnections?: number): Promise<DatabaseOptions>;
  /** A new database with all tables, open. It is closed when the file is done. */
  open(): Promise<Database>;
  /** Closed when the file is done. */
  opened(options: DatabaseOptions): Database;
}

/** Where the databases of a test file come from, and with whom they go. */
interface DatabaseMaker extends Pick<TestDatabases, 'empty' | 'migrated'> {
  close(): Promise<void>;
}

const NAMES: Readonly<Record<Dialect, string>> = { sqlite: 'SQLite', postgres: 'Postgres' };

/** The sealer of tests. */
export const testSealer = createSealer([new Secret('a key for tests, long enough')]);

/**
 * Runs the tests once on SQLite files and once on the Postgres server that all test files of a run share:
 * `describeOnBoth('the actor store', (databases) => { test('…', async () => { const database = await databases.open(); … }); })`.
 */
export function describeOnBoth(name: string, tests: (databases: TestDatabases) => void): void {
  describeOn('sqlite', name, async () => sqliteFiles(), tests);
  describeOn('postgres', name, postgresDatabases, tests);
}

function describeOn(dialect: Dialect, name: string, start: () => Promise<DatabaseMaker>, tests: (databases: TestDatabases) => void): void {
  describe(`${name}, on ${NAMES[dialect]}`, () => {
    let maker: DatabaseMaker;
    const open: Database[] = [];
    const opened = (options: DatabaseOptions): Database => {
      const database = openDatabase(options);
      open.push(database);
      return database;
    };
    beforeAll(async () => {
      maker = await start();
    }, 120_000);
    afterAll(async () => {
      await Promise.allSettled(open.map((database) => database.close()));
      await maker?.close();
    }, 60_000);
    tests({
      dialect,
      empty: (maxConnections) => maker.empty(maxConnections),
      migrated: (maxConnections) => maker.migrated(maxConnections),
      open: async () => opened(await maker.migrated()),
      opened,
    });
  });
}

function sqliteFiles(): DatabaseMaker {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sqlite-'));
  const fileOf = (name: string): DatabaseOptions & { readonly path: string } => ({
    provider: 'sqlite',
    path: join(folder, name),
    synchronous: 'normal',
  });
  let count = 0;
  const empty = async () => {
    count += 1;
    return fileOf(`${count}.db`);
  };
  let template: Promise<string> | undefined;
  async function makeTemplate(): Promise<string> {
    const options = fileOf('template.db');
    const database = openDatabase(options);
    await migrate(database);
    await database.close();
    return options.path;
  }
  return {
    empty,
    migrated: async () => {
      template ??= makeTemplate();
      const options = await empty();
      copyFileSync(await template, options.path);
      return options;
    },
    close: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function postgresDatabases(): Promise<DatabaseMaker> {
  const databases = await openPostgresDatabases();
  const make = async (template: 'empty' | 'migrated', maxConnections = 5): Promise<DatabaseOptions> => ({
    provider: 'postgres',
    url: await databases.create(template),
    maxConnections,
  });
  return {
    empty: (maxConnections) => make('empty', maxConnections),
    migrated: (maxConnections) => make('migrated', maxConnections),
    close: () => databases.close(),
  };
}
