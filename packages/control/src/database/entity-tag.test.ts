import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { checkVersion, entityTag, parseIfMatch } from './entity-tag.js';
import { withTables } from './schema.js';
import { describeOnBoth } from './testing/databases.test.support.js';
import { updateVersion } from './versioned-update.js';

describe('If-Match', () => {
  test.each([
    [undefined, undefined],
    ['*', '*'],
    ['"3"', [3]],
    [' "3" , "12"', [3, 12]],
    ['W/"3"', []],
    ['"v3"', []],
    ['"03"', []],
    ['""', []],
    ['"99999999999999999999"', []],
  ])('%j asks for %j', (field, condition) => {
    expect(parseIfMatch(field)).toEqual(condition);
  });

  test.each(['', '3', '"3', '3"', '"3" "4"', '"3",', '*, "3"', 'w/"3"'])('%j is refused', (field) => {
    expect(() => parseIfMatch(field)).toThrow(expect.objectContaining({ code: 'precondition_invalid', status: 400 }));
  });

  test('the tag of a row asks for that row', () => {
    const row = { version: 7 };
    expect(parseIfMatch(entityTag(row))).toEqual([7]);
    for (const condition of [undefined, '*', [7], [6, 7]] as const) expect(() => checkVersion(row, condition)).not.toThrow();
    for (const condition of [[], [6]]) {
      expect(() => checkVersion(row, condition)).toThrow(
        expect.objectContaining({ code: 'precondition_failed', status: 412, members: { etag: '"7"' } }),
      );
    }
  });
});

describeOnBoth('an update of a version', (databases) => {
  test('of those who have read the same version one gets through', async () => {
    const database = databases.opened(await databases.empty());
    await sql`create table things (id integer primary key, value integer not null, version integer not null)`.execute(database.db);
    await sql`insert into things (id, value, version) values (1, 0, 1)`.execute(database.db);
    const db = withTables<{ things: { id: number; value: number; version: number } }>(database.db);
    const update = (value: number, version: number): Promise<void> =>
      updateVersion(db.updateTable('things').set({ value }).where('id', '=', 1), { version });
    const results = await Promise.allSettled([1, 2, 3].map((value) => update(value, 1)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(results.flatMap((result) => (result.status === 'rejected' ? [(result.reason as { code: string }).code] : []))).toEqual([
      'precondition_failed',
      'precondition_failed',
    ]);
    await update(9, 2);
    expect(await db.selectFrom('things').selectAll().execute()).toEqual([{ id: 1, value: 9, version: 3 }]);
  });
});
