import { Secret } from '@sallyport/sdk';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Database } from '../database/open-database.js';
import { pageQuery, planPage } from '../database/paging.js';
import { describeOnBoth, testSealer } from '../database/testing/databases.test.support.js';
import { requireIndexed } from '../database/testing/query-plan.test.support.js';
import { everywhere, nowhere, parseNamespaceMatcher } from '../namespaces/namespace-matcher.js';
import { type AuditConditions, selectAuditEvents } from './audit-store.js';
import { type AuditedChange, type AuditFilter, type AuditTrail, auditList, createAuditTrail } from './audit-trail.js';
import { storedFields } from './audited-fields.js';

function trailOn(database: Database, now: () => number = Date.now): AuditTrail {
  return createAuditTrail({ database, sealer: testSealer, now });
}

const change = (more: Partial<AuditedChange> = {}): AuditedChange => ({
  action: 'actors.update',
  resourceType: 'actors',
  resourceId: 'act_2',
  namespace: 'root.a',
  ...more,
});

const who = { actorId: 'act_1', requestId: 'req_1' };

async function idsOf(trail: AuditTrail, filter: AuditFilter, visible = everywhere): Promise<readonly string[]> {
  return (await trail.list({ filter }, visible)).items.map(({ resourceId }) => resourceId);
}

describeOnBoth('the audit trail', (databases) => {
  test('says who changed what from what to what, and in which request', async () => {
    const database = await databases.open();
    const trail = trailOn(database, () => 5);
    await database.transaction((trx) => trail.record(trx, who, change({ before: { name: 'a' }, after: { name: 'b', gone: undefined } })));
    expect((await trail.list({}, everywhere)).items).toEqual([
      {
        id: expect.stringMatching(/^aud_/),
        createdAt: 5,
        actorId: 'act_1',
        requestId: 'req_1',
        action: 'actors.update',
        resourceType: 'actors',
        resourceId: 'act_2',
        namespace: 'root.a',
        before: { name: 'a' },
        after: { name: 'b' },
      },
    ]);
  });

  test('has a change exactly when the change was made', async () => {
    const database = await databases.open();
    const trail = trailOn(database);
    const failed = database.transaction(async (trx) => {
      await trail.record(trx, who, change());
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow('rolled back');
    expect(await idsOf(trail, {})).toEqual([]);
  });

  test('holds secrets as digests: equal ones are equal, and none is in the database', async () => {
    const database = await databases.open();
    const trail = trailOn(database);
    const fields = (value: string) => ({ keys: [{ id: 'k', material: new Secret(value) }] });
    await database.transaction((trx) => trail.record(trx, who, change({ before: fields('hunter2'), after: fields('hunter3') })));
    await database.transaction((trx) => trail.record(trx, who, change({ before: fields('hunter3'), after: fields('hunter3') })));
    const { rows } = await sql`select * from audit_events`.execute(database.db);
    expect(JSON.stringify(rows)).not.toMatch(/hunter/);
    const [second, first] = (await trail.list({}, everywhere)).items;
    expect(second?.before).toEqual(second?.after);
    expect(first?.after).toEqual(second?.after);
    expect(first?.before).not.toEqual(first?.after);
    expect(JSON.stringify(first?.before)).toMatch(/hmac-sha256:[0-9a-f]{64}/);
  });

  test('cannot be altered', async () => {
    const database = await databases.open();
    await database.transaction((trx) => trailOn(database).record(trx, who, change()));
    await expect(sql`update audit_events set actor_id = 'act_9'`.execute(database.db)).rejects.toThrow('append-only');
  });

  test('is listed from the newest, filtered, a page at a time, within what the caller may see', async () => {
    const database = await databases.open();
    let time = 0;
    const trail = trailOn(database, () => ++time);
    const changes: readonly (readonly [string, string, string, string])[] = [
      ['act_1', 'actors.create', '1', 'root.a'],
      ['act_1', 'keys.create', '2', 'root.a.b'],
      ['act_2', 'actors.create', '3', 'root.aXb'],
      ['act_2', 'actors.delete', '4', 'root'],
    ];
    for (const [actorId, action, resourceId, namespace] of changes) {
      const [resourceType = ''] = action.split('.');
      await database.transaction((trx) =>
        trail.record(trx, { actorId, requestId: `req_${resourceId}` }, { action, resourceType, resourceId, namespace }),
      );
    }
    expect(await idsOf(trail, {})).toEqual(['4', '3', '2', '1']);
    expect(await idsOf(trail, { actor_id: 'act_1' })).toEqual(['2', '1']);
    expect(await idsOf(trail, { action: 'actors.create' })).toEqual(['3', '1']);
    expect(await idsOf(trail, { resource_type: 'actors', resource_id: '4' })).toEqual(['4']);
    expect(await idsOf(trail, { request_id: 'req_3' })).toEqual(['3']);
    expect(await idsOf(trail, { since: 2, until: 4 })).toEqual(['3', '2']);
    expect(await idsOf(trail, { namespace: 'root.a.**' })).toEqual(['2', '1']);
    expect(await idsOf(trail, {}, [parseNamespaceMatcher('root.a.**')])).toEqual(['2', '1']);
    expect(await idsOf(trail, { namespace: 'root' }, [parseNamespaceMatcher('root.a.**')])).toEqual([]);
    expect(await idsOf(trail, {}, nowhere)).toEqual([]);
    const page = await trail.list({ limit: 3 }, everywhere);
    expect((await trail.list({ cursor: page.cursor }, everywhere)).items.map(({ resourceId }) => resourceId)).toEqual(['1']);
    expect((await trail.list({ cursor: page.cursor }, nowhere)).items).toEqual([]);
  });

  test('what is older than the retention is really gone, and that it went is written down', async () => {
    const database = await databases.open();
    let time = 100;
    const trail = trailOn(database, () => time);
    for (time = 100; time < 105; time += 1) await database.transaction((trx) => trail.record(trx, who, change({ resourceId: String(time) })));
    expect(await trail.purge(2)).toBe(3);
    expect(await idsOf(trail, {})).toEqual(['*', '104', '103']);
    expect((await trail.list({ filter: { action: 'audit_events.purge' } }, everywhere)).items).toMatchObject([
      { actorId: 'system', after: { deleted: 3 } },
    ]);
    expect(await trail.purge(2)).toBe(0);
    expect(await idsOf(trail, {})).toHaveLength(3);
  });

  test('is read by an index, in order, whatever is asked', async () => {
    const database = await databases.open();
    const filters: readonly AuditConditions[] = [
      {},
      { since: 1, until: 2 },
      { actor_id: 'act_1' },
      { resource_type: 'actors', resource_id: 'act_2' },
    ];
    for (const filter of filters) {
      const query = pageQuery(selectAuditEvents(database.db, everywhere, filter), planPage(auditList, {}, testSealer)).compile();
      await requireIndexed(database, query);
    }
    const one = selectAuditEvents(database.db, [parseNamespaceMatcher('root.a')], {});
    await requireIndexed(database, pageQuery(one, planPage(auditList, {}, testSealer)).compile());
  });
});

test('every secret becomes a digest, however deep, and everything else stays', () => {
  const digested = JSON.parse(storedFields({ a: [1, null, { b: new Secret('hunter2'), c: true }], d: undefined }, testSealer));
  expect(digested).toEqual({ a: [1, null, { b: expect.stringMatching(/^hmac-sha256:/), c: true }] });
});

test('a member that is long is there as its digest and its size', () => {
  const { short, long } = JSON.parse(storedFields({ short: 'x'.repeat(8_000), long: { text: 'x'.repeat(8_192) } }, testSealer)) as Record<
    string,
    string
  >;
  expect(short).toHaveLength(8_000);
  expect(long).toMatch(/^hmac-sha256:[0-9a-f]{64} of 8203 characters$/);
});
