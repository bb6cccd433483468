import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { purge, softDeleted } from './purge.js';
import { describeOnBoth } from './testing/databases.test.support.js';

describeOnBoth('a purge', (databases) => {
  test('takes what was deleted before the time, in batches, and leaves what is live', async () => {
    const database = databases.opened(await databases.empty());
    await sql`create table things (id integer primary key, deleted_at integer)`.execute(database.db);
    for (let id = 1; id <= 7; id += 1) await sql`insert into things (id, deleted_at) values (${id}, ${id <= 5 ? id : null})`.execute(database.db);
    expect(await purge(database, softDeleted('things'), { before: 5, batchSize: 2 })).toBe(4);
    const { rows } = await sql<{ id: number }>`select id from things order by id`.execute(database.db);
    expect(rows.map(({ id }) => id)).toEqual([5, 6, 7]);
    expect(await purge(database, softDeleted('things'), { before: 5, batchSize: 2 })).toBe(0);
  });

  test('that is interrupted keeps what it has done', async () => {
    const options = await databases.empty();
    const abort = new AbortController();
    let batches = 0;
    const database = databases.opened({
      ...options,
      onStatement: (text) => {
        if (text.startsWith('delete') && ++batches === 2) abort.abort(new Error('stopped'));
      },
    });
    await sql`create table things (id integer primary key, deleted_at integer)`.execute(database.db);
    for (let id = 1; id <= 5; id += 1) await sql`insert into things (id, deleted_at) values (${id}, 1)`.execute(database.db);
    await expect(purge(database, softDeleted('things'), { before: 5, batchSize: 2, signal: abort.signal })).rejects.toThrow('stopped');
    expect((await sql`select id from things`.execute(database.db)).rows).toHaveLength(3);
    expect(await purge(database, softDeleted('things'), { before: 5 })).toBe(3);
  });
});
