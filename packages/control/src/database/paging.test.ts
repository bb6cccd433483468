import { Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import type { Database } from './open-database.js';
import { type ListDefinition, type PageRequest, pageQuery, planPage, readPage } from './paging.js';
import { withTables } from './schema.js';
import { createSealer } from './sealer.js';
import { describeOnBoth, testSealer } from './testing/databases.test.support.js';
import { queryPlan, requireIndexed } from './testing/query-plan.test.support.js';

interface ItemTables {
  items: { id: string; created_at: number; kind: string };
}

type ItemFilter = { readonly kind?: string | undefined };

const list: ListDefinition = { name: 'items', orders: { created_at: ['created_at', 'id'], id: ['id'] }, defaultOrder: 'created_at ASC' };

const itemsOf = (database: Database) => withTables<ItemTables>(database.db).selectFrom('items').selectAll();

async function readItems(database: Database, request: PageRequest<ItemFilter>, sealer = testSealer) {
  const plan = planPage(list, request, sealer);
  let query = itemsOf(database);
  if (plan.filter.kind !== undefined) query = query.where('kind', '=', plan.filter.kind);
  return readPage(query, list, plan, sealer);
}

async function readAll(database: Database, request: PageRequest<ItemFilter>): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let next: PageRequest<ItemFilter> | undefined = request; next !== undefined; ) {
    const page: Awaited<ReturnType<typeof readItems>> = await readItems(database, next);
    ids.push(...page.items.map((item) => item.id));
    next = page.cursor === undefined ? undefined : { cursor: page.cursor, limit: request.limit };
  }
  return ids;
}

async function withItems(database: Database, items: readonly ItemTables['items'][]): Promise<Database> {
  await sql`create table items (id text primary key, created_at integer not null, kind text not null)`.execute(database.db);
  await sql`create index items_created on items (created_at, id)`.execute(database.db);
  for (const item of items) await withTables<ItemTables>(database.db).insertInto('items').values(item).execute();
  return database;
}

const item = (id: string, created_at: number, kind = 'a'): ItemTables['items'] => ({ id, created_at, kind });

describeOnBoth('a list', (databases) => {
  test('shows each row once, in order, whatever the size of the pages', async () => {
    const database = await withItems(databases.opened(await databases.empty()), []);
    const rows = fc.uniqueArray(fc.record({ id: fc.stringMatching(/^[a-z]{1,4}$/), created_at: fc.nat(3), kind: fc.constantFrom('a', 'b') }), {
      selector: ({ id }) => id,
      maxLength: 12,
    });
    const order = fc.constantFrom('created_at', 'created_at DESC', 'id asc', 'id DESC');
    await fc.assert(
      fc.asyncProperty(rows, order, fc.integer({ min: 1, max: 5 }), async (items, orderBy, limit) => {
        await sql`delete from items`.execute(database.db);
        for (const row of items) await withTables<ItemTables>(database.db).insertInto('items').values(row).execute();
        const byId = items.toSorted((a, b) => (a.id < b.id ? -1 : 1));
        const sorted = orderBy.startsWith('id') ? byId : byId.toSorted((a, b) => a.created_at - b.created_at);
        const expected = (orderBy.endsWith('DESC') ? sorted.toReversed() : sorted).map(({ id }) => id);
        expect(await readAll(database, { order: orderBy, limit })).toEqual(expected);
      }),
      { numRuns: 25 },
    );
  });

  test('is not moved by rows that come and go before the cursor', async () => {
    const database = await withItems(databases.opened(await databases.empty()), [item('a', 1), item('b', 2), item('c', 3), item('d', 4)]);
    const page = await readItems(database, { limit: 2 });
    await sql`delete from items where id = 'a'`.execute(database.db);
    await sql`insert into items (id, created_at, kind) values ('0', 0, 'a')`.execute(database.db);
    const next = await readItems(database, { cursor: page.cursor, limit: 2 });
    expect(next.items.map(({ id }) => id)).toEqual(['c', 'd']);
    expect(next.cursor).toBeUndefined();
  });

  test('ends a page where its rows have become heavy, and loses none of them', async () => {
    const long = 'x'.repeat(100_000);
    const heavy = Array.from({ length: 60 }, (_, index) => item(`heavy ${String(index).padStart(3, '0')}`, index, long));
    const light = Array.from({ length: 600 }, (_, index) => item(`light ${String(index).padStart(3, '0')}`, 100 + index));
    const database = await withItems(databases.opened(await databases.empty()), [...heavy, ...light]);
    const first = await readItems(database, { limit: 1000 });
    expect(first.items.length).toBeLessThan(heavy.length);
    expect(first.items.length).toBeGreaterThan(1);
    expect(await readAll(database, { limit: 1000 })).toEqual([...heavy, ...light].map(({ id }) => id));
    // What is light enough comes as one page, however many statements that takes.
    const rest = await readItems(database, { limit: 1000, order: 'id DESC', filter: { kind: 'a' } });
    expect(rest.items).toHaveLength(light.length);
    expect(rest.cursor).toBeUndefined();
    // One row is shown, whatever it weighs.
    await withTables<ItemTables>(database.db)
      .insertInto('items')
      .values(item('a', -1, 'x'.repeat(5_000_000)))
      .execute();
    expect((await readItems(database, { limit: 1000 })).items.map(({ id }) => id)).toEqual(['a']);
  });

  test('a cursor carries its filter, and is refused with another one', async () => {
    const database = await withItems(databases.opened(await databases.empty()), [item('a', 1), item('b', 2, 'b'), item('c', 3), item('d', 4)]);
    const { cursor } = await readItems(database, { limit: 1, filter: { kind: 'a' } });
    expect((await readItems(database, { cursor })).items.map(({ id }) => id)).toEqual(['c', 'd']);
    expect((await readItems(database, { cursor, filter: { kind: 'a' } })).items).toHaveLength(2);
    expect((await readItems(database, { cursor, filter: { kind: undefined } })).items).toHaveLength(2);
    await expect(readItems(database, { cursor, filter: { kind: 'b' } })).rejects.toMatchObject({ code: 'cursor_invalid', status: 400 });
    await expect(readItems(database, { cursor, order: 'id' })).rejects.toMatchObject({ code: 'cursor_invalid' });
    expect((await readItems(database, { cursor, order: 'created_at asc' })).items).toHaveLength(2);
  });

  test('reads a page by the index alone, without an offset', async () => {
    const database = await withItems(databases.opened(await databases.empty()), [item('a', 1), item('b', 2)]);
    const { cursor } = await readItems(database, { limit: 1 });
    for (const request of [{ cursor }, { order: 'created_at DESC' }, { order: 'id' }]) {
      const query = pageQuery(itemsOf(database), planPage(list, request, testSealer)).compile();
      await requireIndexed(database, query);
      expect(query.sql).not.toMatch(/offset/i);
    }
  });

  test('the plan of a query without an index is seen for what it is', async () => {
    const database = await withItems(databases.opened(await databases.empty()), [item('a', 1)]);
    const plan = await queryPlan(database, itemsOf(database).where('kind', '>', 'a').orderBy('kind').compile());
    expect(plan.scannedTables).toEqual(['items']);
    expect(plan.sorts).toBe(true);
    await expect(requireIndexed(database, itemsOf(database).where('kind', '=', 'a').compile())).rejects.toThrow('Reads items from end to end');
  });
});

describe('a cursor', () => {
  const plan = { filter: {}, limit: 1, order: { name: 'id ASC', columns: ['id'] as [string], direction: 'asc' as const }, after: undefined };
  const cursorFor = (content: unknown, name = 'items', sealer = testSealer): string => sealer.seal(JSON.stringify(content), `cursor of ${name}`);
  const good = ['id ASC', {}, ['a']];

  test('opens in every process that has the key, also after the key was replaced', () => {
    const [old, young] = [new Secret('the former key of cursors'), new Secret('the present key of cursors')];
    const cursor = cursorFor(good, 'items', createSealer([old]));
    expect(planPage(list, { cursor }, createSealer([old]))).toMatchObject({ after: ['a'] });
    expect(planPage(list, { cursor }, createSealer([young, old]))).toMatchObject({ after: ['a'] });
    expect(() => planPage(list, { cursor }, createSealer([young]))).toThrow(expect.objectContaining({ code: 'cursor_invalid' }));
  });

  test.each([
    ['of another list', cursorFor(good, 'others')],
    ['of an order with another number of columns', cursorFor(['created_at ASC', {}, ['a']])],
    ['that is none', 'abc'],
    ['that is empty', ''],
    ['with another content', cursorFor({})],
  ])('%s is refused', (_name, cursor) => {
    expect(() => planPage(list, { cursor }, testSealer)).toThrow(expect.objectContaining({ code: 'cursor_invalid' }));
  });

  test('of which anything was changed is refused', () => {
    const cursor = cursorFor(good);
    expect(planPage(list, { cursor }, testSealer).order).toEqual(plan.order);
    fc.assert(
      fc.property(fc.nat(cursor.length - 1), fc.constantFrom(...'AQgw_-+/= .'), (at, character) => {
        const changed = cursor.slice(0, at) + character + cursor.slice(at + 1);
        fc.pre(changed !== cursor);
        expect(() => planPage(list, { cursor: changed }, testSealer)).toThrow(expect.objectContaining({ code: 'cursor_invalid' }));
      }),
    );
  });

  test('says nothing about the rows', () => {
    expect(Buffer.from(cursorFor(['id ASC', {}, ['secret-id']]), 'base64url').toString('latin1')).not.toContain('secret-id');
  });
});

test.each([0, -1, 1001, 1.5, Number.NaN])('a limit of %s is refused', (limit) => {
  expect(() => planPage(list, { limit }, testSealer)).toThrow(expect.objectContaining({ code: 'list_limit_invalid' }));
});

test.each(['kind', 'id; drop table items', 'id sideways', '', 'constructor', 'id DESC DESC'])('an order by %j is refused', (order) => {
  expect(() => planPage(list, { order }, testSealer)).toThrow(expect.objectContaining({ code: 'list_order_invalid' }));
});
