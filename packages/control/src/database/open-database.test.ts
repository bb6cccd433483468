import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Secret } from '@sallyport/sdk';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { ConstraintError, isReferenceViolation, isUniqueViolation } from './database-error.js';
import { type Database, openDatabase } from './open-database.js';
import { describeOnBoth } from './testing/databases.test.support.js';
import { openCounted } from './testing/statement-count.test.support.js';

async function withNumbers(database: Database): Promise<Database> {
  await sql`create table numbers (id integer primary key, value integer not null, partner integer references numbers (id))`.execute(database.db);
  await sql`create unique index numbers_value on numbers (value)`.execute(database.db);
  return database;
}

function latch(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

const insert = (db: Database['db'], id: number, value: number, partner: number | null = null): Promise<unknown> =>
  sql`insert into numbers (id, value, partner) values (${id}, ${value}, ${partner})`.execute(db);

/** The same with a row as its answer, which drivers do in another way. */
const insertReturning = (db: Database['db'], id: number, value: number, partner: number | null = null): Promise<unknown> =>
  sql`insert into numbers (id, value, partner) values (${id}, ${value}, ${partner}) returning id`.execute(db);

async function ids(database: Database): Promise<readonly number[]> {
  const { rows } = await sql<{ id: number }>`select id from numbers order by id`.execute(database.db);
  return rows.map((row) => row.id);
}

describeOnBoth('a database', (databases) => {
  test('commits all or nothing', async () => {
    const database = await withNumbers(databases.opened(await databases.empty()));
    await database.transaction(async (trx) => {
      await insert(trx, 1, 1);
      await insert(trx, 2, 2);
    });
    const failed = database.transaction(async (trx) => {
      await insert(trx, 3, 3);
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    expect(await ids(database)).toEqual([1, 2]);
  });

  test.each([
    ['', insert],
    [' when it was to be answered', insertReturning],
  ])('says which rule a row broke%s, and no value of it', async (_, insert) => {
    const database = await withNumbers(databases.opened(await databases.empty()));
    await insert(database.db, 1, 4711);
    const unique: unknown = await insert(database.db, 2, 4711).catch((error: unknown) => error);
    expect(unique).toBeInstanceOf(ConstraintError);
    expect(unique).toMatchObject({ code: 'unique_violation', status: 409, violation: { table: 'numbers', columns: ['value'] } });
    expect(isUniqueViolation(unique, 'numbers', 'value')).toBe(true);
    expect(isUniqueViolation(unique, 'numbers', 'id')).toBe(false);
    expect(isUniqueViolation(unique, 'others')).toBe(false);
    expect(inspect(unique, { depth: 10 })).not.toContain('4711');
    const reference: unknown = await insert(database.db, 3, 3, 99).catch((error: unknown) => error);
    expect(isReferenceViolation(reference)).toBe(true);
    const missing: unknown = await sql`insert into numbers (id, value, partner) values (4712, null, null)`
      .execute(database.db)
      .catch((e: unknown) => e);
    expect(inspect(missing, { depth: 10 })).not.toContain('4712');
  });

  test('a signal ends the transaction before its commit', async () => {
    const database = await withNumbers(databases.opened(await databases.empty(1)));
    const abort = new AbortController();
    await database.transaction((trx) => insert(trx, 1, 1));
    const late = database.transaction(
      async (trx) => {
        await insert(trx, 2, 2);
        abort.abort(new Error('gone'));
      },
      { signal: abort.signal },
    );
    await expect(late).rejects.toThrow('gone');
    expect(await ids(database)).toEqual([1]);
    await insert(database.db, 3, 3);
    expect(await ids(database)).toEqual([1, 3]);
  });

  test('who gives up waiting for the turn leaves it to the next', async () => {
    const database = await withNumbers(databases.opened(await databases.empty(1)));
    const abort = new AbortController();
    const begun = latch();
    const end = latch();
    const first = database.transaction(async (trx) => {
      await insert(trx, 1, 1);
      begun.open();
      await end.opened;
    });
    await begun.opened;
    const second = database.transaction((trx) => insert(trx, 2, 2), { signal: abort.signal });
    const third = database.transaction((trx) => insert(trx, 3, 3));
    abort.abort(new Error('gave up'));
    await expect(second).rejects.toThrow('gave up');
    end.open();
    await Promise.all([first, third]);
    expect(await ids(database)).toEqual([1, 3]);
    await expect(database.transaction(async () => undefined, { signal: abort.signal })).rejects.toThrow('gave up');
  });

  test('refuses a statement that writes past its transaction, and a transaction inside another', async () => {
    const database = await withNumbers(databases.opened(await databases.empty()));
    await expect(database.transaction(() => insert(database.db, 1, 1))).rejects.toThrow('go through that transaction');
    await expect(database.transaction(() => database.transaction(async () => undefined))).rejects.toThrow('inside another one');
    expect(await ids(database)).toEqual([]);
  });

  test('no increment is lost among transactions that read and write the same row', async () => {
    const database = await withNumbers(databases.opened(await databases.empty()));
    await insert(database.db, 1, 0);
    const increment = (): Promise<void> =>
      database.transaction(async (trx) => {
        const { rows } = await sql<{ value: number }>`select value from numbers where id = 1`.execute(trx);
        await sql`update numbers set value = ${(rows[0]?.value ?? 0) + 1} where id = 1`.execute(trx);
      });
    await Promise.all(Array.from({ length: 8 }, increment));
    const { rows } = await sql<{ value: number }>`select value from numbers`.execute(database.db);
    expect(rows).toEqual([{ value: 8 }]);
  });

  test('two connections to the same database see what the other has committed, and wait for one another', async () => {
    const options = await databases.empty();
    const one = await withNumbers(databases.opened(options));
    const two = databases.opened(options);
    const inside = latch();
    const end = latch();
    const first = one.transaction(async (trx) => {
      await insert(trx, 1, 1);
      inside.open();
      await end.opened;
    });
    await inside.opened;
    expect(
      await two.db
        .selectFrom('numbers' as never)
        .selectAll()
        .execute(),
    ).toEqual([]);
    const second = two.transaction((trx) => insert(trx, 2, 2));
    end.open();
    await Promise.all([first, second]);
    expect(await ids(one)).toEqual([1, 2]);
    expect(await ids(two)).toEqual([1, 2]);
  });

  test('counts statements', async () => {
    const database = openCounted(await databases.empty());
    await withNumbers(database);
    const statements = await database.statementsOf(() => database.transaction((trx) => insert(trx, 1, 1)));
    await database.close();
    expect(statements).toHaveLength(1);
  });
});

describe('SQLite', () => {
  test('makes a file that only its owner can read, with its log', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-open-'));
    const path = join(folder, 'deeper', 'sallyport.db');
    const database = await withNumbers(openDatabase({ provider: 'sqlite', path }));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}-wal`).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'deeper')).mode & 0o777).toBe(0o700);
    await database.close();
    expect(existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0).toBe(0);
    rmSync(folder, { recursive: true });
  });

  test('gives up on a writer in another process with database_busy, after the time it was given', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-busy-'));
    const path = join(folder, 'sallyport.db');
    const holder = await withNumbers(openDatabase({ provider: 'sqlite', path }));
    const other = openDatabase({ provider: 'sqlite', path, busyTimeoutMs: 1 });
    await holder.transaction(async (trx) => {
      await insert(trx, 1, 1);
      await expect(other.transaction(async () => undefined)).rejects.toMatchObject({ code: 'database_busy', status: 503 });
      await expect(insert(other.db, 2, 2)).rejects.toMatchObject({ code: 'database_busy' });
      await expect(insertReturning(other.db, 2, 2)).rejects.toMatchObject({ code: 'database_busy' });
    });
    await insertReturning(other.db, 2, 2);
    expect(await ids(holder)).toEqual([1, 2]);
    await Promise.all([holder.close(), other.close()]);
    rmSync(folder, { recursive: true });
  });

  test('in memory, a reader waits for the transaction', async () => {
    const database = await withNumbers(openDatabase({ provider: 'sqlite', path: ':memory:' }));
    const end = latch();
    const first = database.transaction(async (trx) => {
      await insert(trx, 1, 1);
      await end.opened;
    });
    const read = database.db
      .selectFrom('numbers' as never)
      .selectAll()
      .execute();
    end.open();
    await first;
    expect(await read).toHaveLength(1);
    await database.close();
  });
});

describe('Postgres', () => {
  test.each(['not a url with hunter2', 'mysql://user:hunter2@host/db', 'postgres://user:hunter2@host:port/db'])(
    'an address that is none is not quoted: %s',
    (url) => {
      let thrown: unknown;
      try {
        openDatabase({ provider: 'postgres', url: new Secret(url) });
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({ code: 'database_url_invalid' });
      expect(inspect(thrown, { depth: 10 })).not.toContain('hunter2');
    },
  );

  test('a server that is not there is database_unavailable, without the password', async () => {
    const database = openDatabase({ provider: 'postgres', url: 'postgres://user:hunter2@127.0.0.1:1/db' });
    const error: unknown = await sql`select 1`.execute(database.db).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'database_unavailable', status: 503 });
    expect(inspect(error, { depth: 10 })).not.toContain('hunter2');
    await database.close();
  });
});
