import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { migrate, requireKnownSchema } from './migrate.js';
import { checksumOf, type Migration } from './migration.js';
import { migrations } from './migrations.js';
import { describeOnBoth } from './testing/databases.test.support.js';

const step = (number: number, ...statements: readonly string[]): Migration => ({ number, name: `step-${number}`, statements: () => statements });
const first = step(1, 'create table counted (id integer primary key)', 'insert into counted (id) values (1)');
const second = step(2, 'insert into counted (id) values (2)');

describeOnBoth('the schema', (databases) => {
  test('is brought up to date once, in the order of the numbers', async () => {
    const database = databases.opened(await databases.empty());
    expect((await migrate(database, { migrations: [second, first] })).map(({ number }) => number)).toEqual([1, 2]);
    expect(await migrate(database, { migrations: [first, second] })).toEqual([]);
    await requireKnownSchema(database, [first, second]);
  });

  test('processes that start at once run each step once', async () => {
    const options = await databases.empty();
    const ran = await Promise.all(Array.from({ length: 4 }, () => migrate(databases.opened(options), { migrations: [first, second] })));
    expect(
      ran
        .flat()
        .map(({ number }) => number)
        .toSorted((a, b) => a - b),
    ).toEqual([1, 2]);
    const { rows } = await sql`select id from counted order by id`.execute(databases.opened(options).db);
    expect(rows).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test('a step that fails leaves nothing of itself, and the ones before it stay', async () => {
    const database = databases.opened(await databases.empty());
    const broken = step(2, 'insert into counted (id) values (7)', 'insert into missing (id) values (1)');
    await expect(migrate(database, { migrations: [first, broken] })).rejects.toThrow('missing');
    const { rows } = await sql`select id from counted`.execute(database.db);
    expect(rows).toEqual([{ id: 1 }]);
    expect((await migrate(database, { migrations: [first, second] })).map(({ number }) => number)).toEqual([2]);
  });

  test('one that lacks steps is refused, and which they are is said', async () => {
    const database = databases.opened(await databases.empty());
    await expect(requireKnownSchema(database, [first])).rejects.toMatchObject({ code: 'schema_outdated', message: 'Not applied yet: 0001-step-1.' });
    await migrate(database, { migrations: [first] });
    await expect(requireKnownSchema(database, [first, second])).rejects.toMatchObject({ code: 'schema_outdated' });
  });

  test('one that is newer is refused, by the check and by a migration', async () => {
    const database = databases.opened(await databases.empty());
    await migrate(database, { migrations: [first, second] });
    await expect(requireKnownSchema(database, [first])).rejects.toMatchObject({
      code: 'schema_unknown',
      message: expect.stringContaining('0002-step-2'),
    });
    await expect(migrate(database, { migrations: [first] })).rejects.toMatchObject({ code: 'schema_unknown' });
  });

  test('one that was made with an altered step is refused', async () => {
    const database = databases.opened(await databases.empty());
    await migrate(database, { migrations: [first] });
    const altered = step(1, 'create table counted (id integer primary key, more integer)');
    await expect(requireKnownSchema(database, [altered])).rejects.toMatchObject({ code: 'schema_unknown' });
    await expect(migrate(database, { migrations: [altered, second] })).rejects.toMatchObject({ code: 'schema_unknown' });
  });

  test('the steps that this program has run, and their numbers are their own', async () => {
    const database = databases.opened(await databases.empty());
    expect(await migrate(database)).toHaveLength(migrations.length);
    await requireKnownSchema(database);
    await expect(migrate(database, { migrations: [first, step(1, 'select 1')] })).rejects.toThrow('number 1');
  });

  test('the layout of a step may change, its words may not', () => {
    const { dialect } = databases;
    expect(checksumOf(step(1, 'create  table\n  t (id integer)'), dialect)).toBe(checksumOf(step(1, 'create table t (id integer)'), dialect));
    expect(checksumOf(step(1, 'create table t (id text)'), dialect)).not.toBe(checksumOf(step(1, 'create table t (id integer)'), dialect));
  });
});
