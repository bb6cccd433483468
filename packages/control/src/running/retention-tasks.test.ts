import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { systemRequester } from '../actors/actors.js';
import { requestDigest, withIdempotency } from '../database/idempotency.js';
import type { Database } from '../database/open-database.js';
import { describeOnBoth, type TestDatabases, testSealer } from '../database/testing/databases.test.support.js';
import { databaseWithTasks, followersOn } from '../namespaces/followers.test.support.js';
import { who } from '../namespaces/namespaces.test.support.js';
import { storedNonces } from '../tokens/nonce-store.js';
import { type Retention, retentionTasks } from './retention-tasks.js';

const DAY = 86_400_000;
const NOON = 1_800_000_000_000;
const retention: Retention = { soft_deleted: 30 * DAY, audit: 365 * DAY };
/** These change with the running of tasks as such. */
const OF_TASKS = ['tasks', 'task_runners', 'task_schedules'];

/** How many rows each table has that has any, but for those of the tasks. */
async function rowsOf(database: Database): Promise<Readonly<Record<string, number>>> {
  const names =
    database.dialect === 'sqlite'
      ? await sql<{ name: string }>`select name from sqlite_schema where type = 'table'`.execute(database.db)
      : await sql<{ name: string }>`select tablename as name from pg_tables where schemaname = 'public'`.execute(database.db);
  const counts: Record<string, number> = {};
  for (const { name } of names.rows.filter(({ name: each }) => !OF_TASKS.includes(each))) {
    const { rows } = await sql<{ count: number }>`select count(*) as count from ${sql.table(name)}`.execute(database.db);
    if (Number(rows[0]?.count) > 0) counts[name] = Number(rows[0]?.count);
  }
  return counts;
}

type Stage = Awaited<ReturnType<typeof stage>>;

/** All domains, a clock that the test moves, and the tasks of this retention. */
async function stage(databases: TestDatabases, kept: Retention = retention) {
  const { options, database } = await databaseWithTasks(databases);
  const clock = { now: NOON };
  const now = (): number => clock.now;
  // The tasks know the domains, and these know the tasks: here they are put in afterwards.
  const domains = await followersOn(options, database, { now });
  const { tasks, cron } = retentionTasks({ ...domains, now }, kept);
  const { tasks: runner, runAll, problems } = await followersOn(options, database, { now, tasks });

  /** What one run of a task deletes, table by table. */
  async function deletedBy(name: string): Promise<unknown> {
    const before = await rowsOf(database);
    const { id } = await runner.enqueue(database.db, name, {});
    const task = (await runAll()).find((each) => each.id === id);
    expect(task).toMatchObject({ state: 'succeeded', attempts: 1 });
    expect(problems).toEqual([]);
    const after = await rowsOf(database);
    const tables = new Set([...Object.keys(before), ...Object.keys(after)]);
    const changes = [...tables].map((table) => [table, (after[table] ?? 0) - (before[table] ?? 0)] as const).filter(([, change]) => change !== 0);
    return { result: task?.result, changes: Object.fromEntries(changes) };
  }

  return { ...domains, clock, cron, deletedBy };
}

const newActor = ({ actors }: Stage, external_id: string) => actors.create({ namespace: 'root.a', external_id }, systemRequester);

const nothing = { result: { deleted: 0 }, changes: {} };

describeOnBoth('what is kept for so long and no longer', (databases) => {
  test('deleted namespaces, and their deletions', async () => {
    const made = await stage(databases);
    for (const path of ['root.a', 'root.b', 'root.c']) await made.namespaces.ensure(path, who);
    const destroy = async (path: string) => {
      await made.namespaces.destroy(path, who);
      while ((await made.namespaces.destroyNextBatch())?.finished === false);
    };
    await destroy('root.a');
    made.clock.now += 20 * DAY;
    await destroy('root.b');
    expect(await made.deletedBy('namespaces.purge')).toEqual(nothing);
    made.clock.now += 10 * DAY + 1;
    expect(await made.deletedBy('namespaces.purge')).toEqual({ result: { deleted: 1 }, changes: { namespaces: -1, namespace_destructions: -1 } });
    expect(await made.namespaces.get('root.c')).toMatchObject({ state: 'active' });
    const { rows } = await sql<{ path: string }>`select path from namespaces where deleted_at is not null`.execute(made.database.db);
    expect(rows).toEqual([{ path: 'root.b' }]);
  });

  test('deleted actors with their keys', async () => {
    const made = await stage(databases);
    await made.namespaces.ensure('root.a', who);
    const [old, late] = [await newActor(made, 'old'), await newActor(made, 'late'), await newActor(made, 'there')];
    await sql`insert into actor_keys (id, actor_id, thumbprint, algorithm, jwk, source, created_at)
      values ('akey_1', ${old.id}, 't', 'EdDSA', '{}', 'api', 1), ('akey_2', ${late.id}, 't', 'EdDSA', '{}', 'api', 1)`.execute(made.database.db);
    await made.actors.remove(old.id, systemRequester);
    made.clock.now += 20 * DAY;
    await made.actors.remove(late.id, systemRequester);
    expect(await made.deletedBy('actors.purge')).toEqual(nothing);
    made.clock.now += 10 * DAY + 1;
    expect(await made.deletedBy('actors.purge')).toEqual({ result: { deleted: 1 }, changes: { actors: -1, actor_keys: -1 } });
    const { rows } = await sql<{ external_id: string }>`select external_id from actors order by external_id`.execute(made.database.db);
    expect(rows.map(({ external_id: id }) => id)).toEqual(['late', 'there']);
  });

  test('people whose actors were deleted', async () => {
    const made = await stage(databases);
    await made.namespaces.ensure('root.a', who);
    const person = (external_id: string) => ({ namespace: 'root.a', external_id, permissions: [], labels: {} });
    const enter = (subject: string) => made.people.enter({ issuer: 'https://idp.example', subject }, person(subject));
    const [old, late] = [await enter('old'), await enter('late'), await enter('there')];
    await made.actors.remove(old.id, systemRequester);
    made.clock.now += 20 * DAY;
    await made.actors.remove(late.id, systemRequester);
    expect(await made.deletedBy('people.purge')).toEqual(nothing);
    made.clock.now += 10 * DAY + 1;
    expect(await made.deletedBy('people.purge')).toEqual({ result: { deleted: 1 }, changes: { sign_in_identities: -1 } });
    const { rows } = await sql<{ subject: string }>`select subject from sign_in_identities order by subject`.execute(made.database.db);
    expect(rows.map(({ subject }) => subject)).toEqual(['late', 'there']);
  });

  test('sessions that have ended', async () => {
    const made = await stage(databases);
    await made.namespaces.ensure('root.a', who);
    const actor = await newActor(made, 'ada');
    const open = () => made.sessions.open({ actor, restriction: undefined, service: 'public', signedInBy: 'token' });
    await open();
    made.clock.now += 3_599_999;
    const { cookie } = await open();
    expect(await made.deletedBy('sessions.purge')).toEqual(nothing);
    made.clock.now += 2;
    // The trail says so.
    expect(await made.deletedBy('sessions.purge')).toEqual({ result: { deleted: 1 }, changes: { sessions: -1, audit_events: 1 } });
    expect(await made.sessions.authenticate(cookie.reveal(), 'public')).toBeDefined();
  });

  test('the outcomes of requests that may be repeated', async () => {
    const made = await stage(databases);
    const { database, clock } = made;
    const options = { sealer: testSealer, now: () => clock.now };
    const once = (key: string) =>
      withIdempotency(
        database,
        { key, actorId: 'act_1', requestDigest: requestDigest(testSealer, 'POST', '/x', {}) },
        () => database.transaction(async (trx) => Number((await sql`select 1`.execute(trx)).rows.length)),
        options,
      );
    await once('old');
    clock.now += DAY - 1;
    await once('late');
    expect(await made.deletedBy('idempotency.purge')).toEqual(nothing);
    clock.now += 2;
    expect(await made.deletedBy('idempotency.purge')).toEqual({ result: { deleted: 1 }, changes: { idempotency_keys: -1 } });
    expect(await once('late')).toEqual({ outcome: 1, replayed: true });
  });

  test('nonces of tokens that have expired', async () => {
    const made = await stage(databases);
    const use = storedNonces(made.database);
    const seconds = NOON / 1000;
    await use({ issuer: 'i', nonce: 'old', expires: seconds + 60 });
    await use({ issuer: 'i', nonce: 'late', expires: seconds + 61 });
    expect(await made.deletedBy('nonces.purge')).toEqual(nothing);
    made.clock.now += 60_001;
    expect(await made.deletedBy('nonces.purge')).toEqual({ result: { deleted: 1 }, changes: { used_nonces: -1 } });
    expect(await use({ issuer: 'i', nonce: 'late', expires: seconds + 61 })).toBe(false);
  });

  test('the audit trail, where that is configured', async () => {
    const made = await stage(databases);
    await made.namespaces.ensure('root.a', who);
    made.clock.now += 365 * DAY;
    await made.namespaces.ensure('root.b', who);
    expect(await made.deletedBy('audit.purge')).toEqual(nothing);
    made.clock.now += 1;
    // One goes, and one comes that says so.
    expect(await made.deletedBy('audit.purge')).toEqual({ result: { deleted: 1 }, changes: {} });
    const { items } = await made.audit.list({}, [{ path: 'root', subtree: true }]);
    expect(items.map(({ action, resourceId }) => [action, resourceId])).toEqual([
      ['audit_events.purge', '*'],
      ['namespaces.create', 'root.b'],
    ]);
  });

  test('each task is due every hour, and that of the trail only where it does not stay for ever', async () => {
    const made = await stage(databases);
    const names = ['actors', 'audit', 'idempotency', 'namespaces', 'nonces', 'people', 'sessions'].map((name) => `${name}.purge`);
    expect(made.cron.map(({ task }) => task).sort()).toEqual(names);
    expect(new Set(made.cron.map(({ schedule }) => schedule)).size).toBe(names.length);
    const forEver = retentionTasks(made, { ...retention, audit: null });
    expect(forEver.tasks.map(({ name }) => name).sort()).toEqual(names.filter((name) => name !== 'audit.purge'));
    expect(forEver.cron).toHaveLength(6);
  });
});
