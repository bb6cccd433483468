import { SallyportError, Secret } from '@sallyport/sdk';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { selectActorById, selectActorByName } from '../actors/actor-store.js';
import { systemRequester } from '../actors/actors.js';
import { newPublicKey } from '../actors/actors.test.support.js';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { requireIndexed } from '../database/testing/query-plan.test.support.js';
import { openCounted } from '../database/testing/statement-count.test.support.js';
import type { CiphertextPlace } from '../keys/envelope.js';
import { openKeyring } from '../keys/keyring.js';
import { updateLabels } from '../labels/label-service.js';
import { everything } from '../permissions/permission.js';
import { createAuthenticator } from '../tokens/authenticate.js';
import type { VerifiedToken } from '../tokens/verify-token.js';
import { databaseWithTasks, type Followers, followersOn } from './followers.test.support.js';
import { everywhere } from './namespace-matcher.js';
import { namespaceTasks } from './namespace-tasks.js';
import { stageOn, who } from './namespaces.test.support.js';

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof SallyportError ? error.code : String(error)),
  );

/** Everything that is stored, table by table. */
async function dump(database: Database): Promise<string> {
  const names =
    database.dialect === 'sqlite'
      ? await sql<{ name: string }>`select name from sqlite_schema where type = 'table'`.execute(database.db)
      : await sql<{ name: string }>`select tablename as name from pg_tables where schemaname = 'public'`.execute(database.db);
  const tables = [];
  for (const { name } of names.rows) tables.push(name, (await sql`select * from ${sql.table(name)}`.execute(database.db)).rows);
  return JSON.stringify(tables);
}

const count = async (database: Database, table: string, condition = '1 = 1'): Promise<number> => {
  const { rows } = await sql<{ count: number }>`select count(*) as count from ${sql.table(table)} where ${sql.raw(condition)}`.execute(database.db);
  return Number(rows[0]?.count);
};

const actorIn = (made: Followers, namespace: string, external_id: string) =>
  made.actors.create({ namespace, external_id, labels: { team: 'blue' }, annotations: { note: 'of somebody' } }, systemRequester);

const openSession = (made: Followers, actor: Awaited<ReturnType<typeof actorIn>>) =>
  made.sessions.open({ actor, restriction: undefined, service: 'public', signedInBy: 'token' });

describeOnBoth('the deletion of a namespace, by its task', (databases) => {
  test('takes everything in it along, and nothing beside it', async () => {
    const { options, database } = await databaseWithTasks(databases);
    const made = await followersOn(options, database);
    const { namespaces, actors, actorKeys, keys, sessions, tasks, runAll, problems } = made;
    for (const path of ['root.a.b', 'root.a-x']) await namespaces.ensure(path, who);
    await namespaces.update('root.a', who, async (trx) => {
      await updateLabels(trx, { type: 'ns', id: 'root.a' }, { labels: { env: 'prod' }, annotations: { note: 'of a customer' } });
      return {};
    });
    // More than one batch.
    for (let index = 0; index < 51; index += 1) await actorIn(made, 'root.a.b', `actor ${index}`);
    const [gone, left] = [await actorIn(made, 'root.a', 'ada'), await actorIn(made, 'root.a-x', 'ada')];
    const cookies = [];
    for (const actor of [gone, left]) {
      await actorKeys.add(actor.id, { public_key: newPublicKey() }, systemRequester);
      cookies.push((await openSession(made, actor)).cookie.reveal());
    }
    for (const namespace of ['root.a', 'root.a-x']) await keys.create({ namespace, keyData: { random: true } }, who);
    const begun = await namespaces.destroy('root.a', who);
    const [task] = (await tasks.list({ filter: { name: 'namespaces.destroy' } }, [{ path: 'root', subtree: true }])).items;
    expect(task).toMatchObject({ state: 'pending', createdBy: 'act_test' });
    const done = await runAll();
    expect(problems).toEqual([]);
    expect(done.find(({ id }) => id === task?.id)).toMatchObject({
      state: 'succeeded',
      result: { deletions: 1, namespaces: 2 },
      progress: { done: 2, total: 2, note: 'root.a' },
    });
    expect(await namespaces.destructionProgress(begun.id)).toMatchObject({ finished: true, destroyed: 2 });
    expect((await actors.list({ limit: 1000 }, systemRequester)).items.map(({ id }) => id)).toEqual([left.id]);
    expect(await count(database, 'actor_keys', 'revoked_at is null')).toBe(1);
    expect(await count(database, 'sessions')).toBe(1);
    expect(await sessions.authenticate(cookies[1], 'public')).toMatchObject({ actor: { id: left.id } });
    const { rows } = await sql<{ id: string }>`select distinct resource_id as id from resource_labels where resource_type = 'ns' order by 1`.execute(
      database.db,
    );
    expect(rows.map(({ id }) => id)).toEqual(['root.a-x']);
    expect(await count(database, 'resource_labels', `resource_type = 'act' and resource_id <> '${left.id}'`)).toBe(0);
    expect(await count(database, 'resource_annotations')).toBe(1);
    expect(await count(database, 'encryption_keys', `deleted_at is null and namespace <> 'root' and key_data is not null`)).toBe(1);
    const trail = await made.audit.list({ limit: 1000, filter: { action: 'actors.delete' } }, [{ path: 'root', subtree: true }]);
    expect(trail.items).toHaveLength(52);
  }, 120_000);

  test('closes its actors out at once, without another statement', async () => {
    const { options } = await databaseWithTasks(databases);
    const database = openCounted(options);
    const made = await followersOn(options, database);
    const { namespaces, actors, actorKeys, sessions, sources } = made;
    await namespaces.ensure('root.a.b', who);
    const ada = await actorIn(made, 'root.a.b', 'ada');
    await actorKeys.add(ada.id, { public_key: newPublicKey() }, systemRequester);
    const cookie = (await openSession(made, ada)).cookie.reveal();
    const name = { namespace: 'root.a.b', external_id: 'ada' };
    const verified = { ...name, restriction: undefined, definition: undefined } as unknown as VerifiedToken;
    const describing = { ...verified, definition: { actor: { ...name, labels: { new: 'yes' } }, within: everything } };
    const authenticated = (token: VerifiedToken) =>
      createAuthenticator({ verify: async () => token, actors, sources, sessions })({ authorization: 'Bearer x' }, 'api');
    expect(await codeOf(authenticated(verified))).toBe('none');
    expect(await actorKeys.usable(name)).toHaveLength(1);
    // The actor, its labels and its annotations.
    expect(await database.statementsOf(() => actors.find('root.a.b', 'ada'))).toHaveLength(3);
    expect(await database.statementsOf(() => actors.findById(ada.id))).toHaveLength(3);
    await requireIndexed(database, selectActorByName(database.db, 'root.a.b', 'ada').compile());
    await requireIndexed(database, selectActorById(database.db, ada.id).compile());

    await namespaces.destroy('root.a', who);
    expect(await codeOf(authenticated(verified))).toBe('token_invalid');
    expect(await codeOf(authenticated(describing))).toBe('token_invalid');
    expect(await actorKeys.usable(name)).toEqual([]);
    expect(await sessions.authenticate(cookie, 'public')).toBeUndefined();
    // Who looks after the namespace still sees what is in it.
    expect(await actors.get(ada.id, systemRequester)).toMatchObject({ id: ada.id });
    expect(await actors.getByExternalId('root.a.b', 'ada', systemRequester)).toMatchObject({ id: ada.id });
    await database.close();
  });

  test('leaves nothing that could be read of what its keys encrypted', async () => {
    const { options, database } = await databaseWithTasks(databases);
    const made = await followersOn(options, database);
    const { namespaces, keys, keyring, globalKey, runAll } = made;
    await namespaces.ensure('root.a.b.c', who);
    await namespaces.ensure('root.z', who);
    const owner = new Map([
      ['root.a', await keys.create({ namespace: 'root.a', keyData: { value: 'the passphrase of a customer' } }, who)],
      ['root.a.b', await keys.create({ namespace: 'root.a.b', keyData: { random: true } }, who)],
      ['root.z', await keys.create({ namespace: 'root.z', keyData: { random: true } }, who)],
    ]);
    for (const [namespace, { id }] of owner) await keys.assign(namespace, id, who);
    await sql`create table things (id text primary key, namespace text, secret text)`.execute(database.db);
    const placeOf = (namespace: string): CiphertextPlace => ({ table: 'things', column: 'secret', row: namespace, namespace });
    for (const namespace of ['root.a', 'root.a.b', 'root.a.b.c', 'root.z']) {
      const sealed = await keyring.encrypt(placeOf(namespace), new Secret(`the secret of ${namespace}`));
      await sql`insert into things (id, namespace, secret) values (${namespace}, ${namespace}, ${sealed})`.execute(database.db);
    }
    await namespaces.destroy('root.a', who);
    await runAll();

    // Somebody who has all that is stored, and the global key too.
    const finder = openKeyring({ database, globalKey, env: {} });
    const { rows } = await sql<{ namespace: string; secret: string }>`select namespace, secret from things order by id`.execute(database.db);
    for (const reader of [finder, keyring]) {
      for (const { namespace, secret } of rows) {
        const outcome = reader.decrypt(placeOf(namespace), secret);
        if (namespace === 'root.z') expect((await outcome).reveal()).toBe('the secret of root.z');
        else expect(await codeOf(outcome)).toBe('ciphertext_invalid');
      }
    }
    const stored = await dump(database);
    expect(stored).not.toContain('the secret of');
    expect(stored).not.toContain('the passphrase');
    const material = await sql<{ namespace: string; material: number }>`
      select k.namespace, sum(case when v.wrapped is null and k.key_data is null then 0 else 1 end) as material
      from encryption_keys k join encryption_key_versions v on v.key_id = k.id group by k.namespace order by k.namespace`.execute(database.db);
    expect(material.rows.map(({ namespace, material: left }) => [namespace, Number(left)])).toEqual([
      ['root', 1],
      ['root.a', 0],
      ['root.a.b', 0],
      ['root.z', 1],
    ]);
  });

  test('is found again when its task is gone, and goes on where the last attempt failed', async () => {
    const { options, database } = await databaseWithTasks(databases);
    const made = await followersOn(options, database);
    for (const name of 'bcd') await made.namespaces.ensure(`root.a.${name}`, who);
    await made.namespaces.destroy('root.a', who);
    await made.namespaces.destroyNextBatch({ batchSize: 1 });
    await sql`delete from tasks`.execute(database.db);
    await made.tasks.enqueue(database.db, 'namespaces.destroy', {});
    const [task] = await made.runAll();
    expect(task).toMatchObject({ state: 'succeeded', result: { deletions: 1, namespaces: 4 } });
    expect((await made.namespaces.list({}, [{ path: 'root', subtree: true }])).items.map(({ path }) => path)).toEqual(['root']);
    // The path is free, and what was in it does not come back.
    await made.namespaces.ensure('root.a', who);
    expect(await made.actors.find('root.a', 'ada')).toBeUndefined();
  });

  test('that fails is in the result, and the others are done all the same', async () => {
    const failing = new Set(['root.a', 'root.b']);
    const { database } = await databaseWithTasks(databases);
    const { namespaces, wait } = stageOn(database, [
      async ({ path }) => {
        if (failing.has(path)) throw path === 'root.a' ? new SallyportError('key_unavailable') : new TypeError('a fault of the program');
        return 'done';
      },
    ]);
    for (const path of ['root.a', 'root.b', 'root.c']) {
      await namespaces.create(path, who);
      await namespaces.destroy(path, who);
    }
    const notes: (string | undefined)[] = [];
    const run = (): Promise<unknown> => {
      const [task] = namespaceTasks(namespaces);
      if (task === undefined) throw new Error('There is no task.');
      const context = { id: 'tsk_1', namespace: 'root', attempt: 1, signal: new AbortController().signal };
      return task.run({}, { ...context, progress: ({ note }) => void notes.push(note) });
    };
    await expect(run()).rejects.toThrow('a fault of the program');
    expect(notes).toEqual(['root.a: key_unavailable', 'root.b: internal_error', 'root.c']);
    expect((await namespaces.list({}, everywhere)).items.map(({ path }) => path)).toEqual(['root', 'root.a', 'root.b']);
    failing.delete('root.b');
    wait(600_000);
    expect(await run()).toEqual({
      ...{ deletions: 1, namespaces: 1, failed: 1 },
      failures: [{ id: expect.stringMatching(/^nsd_/), path: 'root.a', code: 'key_unavailable' }],
    });
    failing.clear();
    wait(600_000);
    expect(await run()).toEqual({ deletions: 1, namespaces: 1, failed: 0, failures: [] });
  });

  test('is asked for together with its task, or neither is', async () => {
    const { options, database } = await databaseWithTasks(databases);
    const made = await followersOn(options, database);
    await made.namespaces.ensure('root.a', who);
    await sql`alter table tasks rename to elsewhere`.execute(database.db);
    expect(await codeOf(made.namespaces.destroy('root.a', who))).not.toBe('none');
    expect(await made.namespaces.get('root.a')).toMatchObject({ state: 'active' });
  });
});
