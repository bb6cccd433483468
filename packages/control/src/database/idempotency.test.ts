import { Secret } from '@sallyport/sdk';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { type IdempotentOutcome, requestDigest, withIdempotency } from './idempotency.js';
import { migrate } from './migrate.js';
import type { Database } from './open-database.js';
import { expiredIdempotencyKeys, purge } from './purge.js';
import { createSealer } from './sealer.js';
import { describeOnBoth, testSealer } from './testing/databases.test.support.js';

async function ready(opened: Promise<Database>): Promise<Database> {
  const database = await opened;
  await sql`create table done (id text not null)`.execute(database.db);
  return database;
}

async function timesDone(database: Database): Promise<number> {
  return (await sql`select id from done`.execute(database.db)).rows.length;
}

interface Call {
  readonly key?: string;
  readonly actorId?: string;
  readonly digest?: string;
  readonly now?: number;
  readonly fails?: boolean;
  readonly waitMs?: number;
  /** Between the change and the outcome. */
  readonly afterwards?: () => Promise<void>;
  readonly sealer?: typeof testSealer;
}

function call(
  database: Database,
  { key = 'k', actorId = 'act_1', digest = 'd', now = 1000, fails = false, sealer = testSealer, waitMs = 30, afterwards }: Call = {},
): Promise<IdempotentOutcome<{ readonly token: string }>> {
  return withIdempotency(
    database,
    { key, actorId, requestDigest: digest },
    async () => {
      await database.transaction(async (trx) => {
        await sql`insert into done (id) values ('x')`.execute(trx);
        if (fails) throw new Error('failed');
      });
      await afterwards?.();
      return { token: 'the-plain-outcome' };
    },
    { sealer, now: () => now, lifetimeMs: 100, waitMs },
  );
}

describeOnBoth('a request with an idempotency key', (databases) => {
  test('is done once, and a repetition gets the same outcome', async () => {
    const database = await ready(databases.open());
    expect(await call(database)).toEqual({ outcome: { token: 'the-plain-outcome' }, replayed: false });
    expect(await call(database)).toEqual({ outcome: { token: 'the-plain-outcome' }, replayed: true });
    expect(await timesDone(database)).toBe(1);
  });

  test('is done once when repetitions come at the same time, also from another process', async () => {
    const options = await databases.empty();
    const first = databases.opened(options);
    await migrate(first);
    await ready(Promise.resolve(first));
    const second = databases.opened(options);
    const outcomes = await Promise.all([first, second, first, second, first, second].map((database) => call(database, { waitMs: 10_000 })));
    expect(outcomes.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(await timesDone(first)).toBe(1);
  });

  test('is refused when the key stood for another request', async () => {
    const database = await ready(databases.open());
    await call(database);
    await expect(call(database, { digest: 'other' })).rejects.toMatchObject({ code: 'idempotency_key_reused', status: 422 });
    expect(await timesDone(database)).toBe(1);
  });

  test('has nothing to do with the same key of another actor', async () => {
    const database = await ready(databases.open());
    await call(database);
    expect(await call(database, { actorId: 'act_2', digest: 'other' })).toMatchObject({ replayed: false });
  });

  test('that failed is not stored, and may be tried again', async () => {
    const database = await ready(databases.open());
    await expect(call(database, { fails: true })).rejects.toThrow('failed');
    expect(await timesDone(database)).toBe(0);
    expect(await call(database)).toMatchObject({ replayed: false });
  });

  test('whose answer was lost after the change is not done again, and says so', async () => {
    const database = await ready(databases.open());
    const crash = async () => Promise.reject(new Error('the process is gone'));
    await expect(call(database, { afterwards: crash })).rejects.toThrow('gone');
    await expect(call(database)).rejects.toMatchObject({ code: 'idempotency_outcome_pending', status: 409 });
    await expect(call(database, { digest: 'other' })).rejects.toMatchObject({ code: 'idempotency_key_reused' });
    expect(await timesDone(database)).toBe(1);
  });

  test('that changes nothing leaves nothing behind', async () => {
    const database = await ready(databases.open());
    const request = { key: 'k', actorId: 'act_1', requestDigest: 'd' };
    const read = () => withIdempotency(database, request, async () => ({ read: true }), { sealer: testSealer });
    expect([await read(), await read()].map(({ replayed }) => replayed)).toEqual([false, false]);
  });

  test('is a new one after its time, and the purge removes what has expired', async () => {
    const database = await ready(databases.open());
    await call(database);
    expect(await call(database, { now: 1099 })).toMatchObject({ replayed: true });
    expect(await call(database, { now: 1100, digest: 'other' })).toMatchObject({ replayed: false });
    expect(await purge(database, expiredIdempotencyKeys, { before: 1200 })).toBe(0);
    expect(await purge(database, expiredIdempotencyKeys, { before: 1201 })).toBe(1);
  });

  test('leaves no readable outcome in the database', async () => {
    const database = await ready(databases.open());
    await call(database);
    const { rows } = await sql`select * from idempotency_keys`.execute(database.db);
    expect(JSON.stringify(rows)).not.toContain('the-plain-outcome');
    const stranger = createSealer([new Secret('another key, also long enough')]);
    await expect(call(database, { sealer: stranger })).rejects.toMatchObject({ code: 'idempotency_key_reused' });
  });

  test.each(['', 'a b', 'ü', 'a'.repeat(256), 'a\n'])('with the key %j is refused', async (key) => {
    const database = databases.opened(await databases.empty());
    await expect(call(database, { key })).rejects.toMatchObject({ code: 'idempotency_key_invalid' });
  });
});

test('the digest of a request depends on all of it, and not on the order of members', () => {
  const digest = requestDigest(testSealer, 'POST', '/actors', { a: 1, b: 2 });
  expect(requestDigest(testSealer, 'POST', '/actors', { b: 2, a: 1 })).toBe(digest);
  expect(requestDigest(testSealer, 'PUT', '/actors', { a: 1, b: 2 })).not.toBe(digest);
  expect(requestDigest(testSealer, 'POST', '/actor', { a: 1, b: 2 })).not.toBe(digest);
  expect(requestDigest(testSealer, 'POST', '/actors', { a: 1, b: '2' })).not.toBe(digest);
});
