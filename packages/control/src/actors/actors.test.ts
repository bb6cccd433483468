import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { inScope } from '../permissions/list-scope.js';
import { systemRequester } from './actors.js';
import { actorStage, all, newPublicKey, requester } from './actors.test.support.js';

/** So many keys that were added and revoked; the one with the number n ended at the time n. */
async function insertEndedKeys(database: Database, actorId: string, count: number): Promise<void> {
  const numbers = sql`with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ${sql.lit(count)})`;
  const columns = sql`id, actor_id, thumbprint, algorithm, jwk, name, source, created_at, expires_at, revoked_at`;
  const row = sql`'akey_' || n, ${sql.lit(actorId)}, 't' || n, 'EdDSA', '{}', null, 'api', 1, null, n`;
  await database.transaction((trx) => sql`insert into actor_keys (${columns}) ${numbers} select ${row} from numbers`.execute(trx));
}

function failsWith(code: string) {
  return expect.objectContaining({ code });
}

describeOnBoth('actors', (databases) => {
  test('are created, read, changed and deleted, and all of it is in the audit trail', async () => {
    const { actors, audit, deleted } = await actorStage(await databases.open());
    const by = requester([all('root.**')]);
    const made = await actors.create({ namespace: 'root.a', external_id: 'ada', labels: { team: 'blue' }, permissions: [all('root.a.b')] }, by);
    expect(made).toMatchObject({
      namespace: 'root.a',
      external_id: 'ada',
      source: 'api',
      version: 1,
      permissions: [all('root.a.b')],
      labels: { team: 'blue' },
    });
    expect(await actors.get(made.id, by)).toEqual(made);
    expect(await actors.getByExternalId('root.a', 'ada', by)).toEqual(made);
    const changed = await actors.update(made.id, { permissions: [], annotations: { note: 'x' } }, by, [1]);
    expect(changed).toMatchObject({ version: 2, permissions: [], annotations: { note: 'x' }, labels: { team: 'blue' } });
    await actors.remove(made.id, by, [2]);
    await expect(actors.get(made.id, by)).rejects.toThrow(failsWith('actor_not_found'));
    expect(deleted).toEqual([made.id]);
    const trail = await audit.list({ order: 'created_at ASC', filter: { resource_type: 'actors' } }, [{ path: 'root', subtree: true }]);
    expect(trail.items.map(({ action }) => action).sort()).toEqual(['actors.create', 'actors.delete', 'actors.update']);
  });

  test('an external id is taken once in a namespace, and is free again when its actor is deleted', async () => {
    const { actors } = await actorStage(await databases.open());
    const by = requester([all('root.**')]);
    const first = await actors.create({ namespace: 'root.a', external_id: 'ada' }, by);
    await expect(actors.create({ namespace: 'root.a', external_id: 'ada' }, by)).rejects.toThrow(failsWith('actor_exists'));
    await actors.create({ namespace: 'root.a.b', external_id: 'ada' }, by);
    await actors.remove(first.id, by);
    expect((await actors.create({ namespace: 'root.a', external_id: 'ada' }, by)).id).not.toBe(first.id);
    expect(await actors.purge(Number.MAX_SAFE_INTEGER)).toBe(1);
  });

  test('a change of a version that is gone changes nothing', async () => {
    const { actors } = await actorStage(await databases.open());
    const by = requester([all('root.**')]);
    const { id } = await actors.create({ namespace: 'root.a', external_id: 'ada' }, by);
    await actors.update(id, { labels: { a: '1' } }, by, [1]);
    await expect(actors.update(id, { labels: { a: '2' } }, by, [1])).rejects.toThrow(failsWith('precondition_failed'));
    await expect(actors.remove(id, by, [1])).rejects.toThrow(failsWith('precondition_failed'));
    expect((await actors.get(id, by)).labels).toMatchObject({ a: '1' });
  });

  test('a namespace has to be there', async () => {
    const { actors } = await actorStage(await databases.open());
    await expect(actors.create({ namespace: 'root.none', external_id: 'x' }, systemRequester)).rejects.toThrow(failsWith('namespace_not_found'));
  });

  test('nobody grants more than they hold', async () => {
    const { actors } = await actorStage(await databases.open());
    const small = requester([{ namespace: 'root.a.**', resources: ['actors'], verbs: ['create', 'update', 'get'] }]);
    await expect(actors.create({ namespace: 'root.a', external_id: 'x', permissions: [all('root.a')] }, small)).rejects.toThrow(
      failsWith('grant_exceeds_granter'),
    );
    const { id } = await actors.create({ namespace: 'root.a', external_id: 'x' }, small);
    await expect(actors.update(id, { permissions: [all('root.a')] }, small)).rejects.toThrow(failsWith('grant_exceeds_granter'));
    await actors.update(id, { permissions: [{ namespace: 'root.a', resources: ['actors'], verbs: ['get'] }] }, small);
    await expect(actors.create({ namespace: 'root.a', external_id: 'y', permissions: [all('root.{{labels.x}}')] }, small)).rejects.toThrow(
      failsWith('grant_exceeds_granter'),
    );
  });

  test('permissions outside of the actor’s own namespace are refused', async () => {
    const { actors } = await actorStage(await databases.open());
    for (const namespace of ['root.**', 'root', 'root.ab', 'root.team_a']) {
      await expect(actors.create({ namespace: 'root.a', external_id: 'x', permissions: [all(namespace)] }, systemRequester)).rejects.toThrow(
        failsWith('permission_outside_actor'),
      );
    }
  });

  test('who may not create, read or change gets to know no more than that', async () => {
    const { actors } = await actorStage(await databases.open());
    const { id } = await actors.create({ namespace: 'root.a', external_id: 'ada' }, systemRequester);
    const reader = requester([{ namespace: 'root.a', resources: ['actors'], verbs: ['get'] }]);
    const stranger = requester([all('root.team_a')]);
    await expect(actors.create({ namespace: 'root.a', external_id: 'x' }, reader)).rejects.toThrow(failsWith('permission_denied'));
    await expect(actors.update(id, {}, reader)).rejects.toThrow(failsWith('permission_denied'));
    await expect(actors.remove(id, reader)).rejects.toThrow(failsWith('permission_denied'));
    await expect(actors.update(id, {}, stranger)).rejects.toThrow(failsWith('actor_not_found'));
    await expect(actors.get(id, stranger)).rejects.toThrow(failsWith('actor_not_found'));
  });

  test('an actor does not delete itself', async () => {
    const { actors } = await actorStage(await databases.open());
    const { id } = await actors.create({ namespace: 'root', external_id: 'ada' }, systemRequester);
    await expect(actors.remove(id, requester([all('root.**')], id))).rejects.toThrow(failsWith('actor_deletes_itself'));
  });

  test('a list shows exactly what its reader may see, on every page', async () => {
    const { actors } = await actorStage(await databases.open());
    for (const namespace of ['root', 'root.a', 'root.a.b', 'root.team_a', 'root.teamXa']) {
      for (const name of ['x', 'y']) await actors.create({ namespace, external_id: name }, systemRequester);
    }
    const everybody = (await actors.list({}, systemRequester)).items;
    expect(everybody).toHaveLength(10);
    const single = everybody.find(({ namespace }) => namespace === 'root.teamXa')?.id ?? '';
    const readers = [[all('root.a.**')], [all('root.team_a.**')], [all('root.a'), { ...all('root.**'), resource_ids: [single] }], [all('root.**')]];
    for (const entries of readers) {
      const by = requester(entries);
      const scope = by.authority.scope({ resource: 'actors', verb: 'list' });
      const seen: string[] = [];
      for (let cursor: string | undefined; ; ) {
        const page = await actors.list({ limit: 2, cursor }, by);
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.cursor;
        if (cursor === undefined) break;
      }
      expect(seen).toEqual(everybody.filter((actor) => inScope(scope, actor)).map(({ id }) => id));
    }
    expect((await actors.list({ filter: { namespace: 'root.a.**', external_id: 'x' } }, systemRequester)).items).toHaveLength(2);
  });

  test('a filter that is no namespace is said to be none', async () => {
    const { actors } = await actorStage(await databases.open());
    for (const namespace of ['root.*', 'nowhere', 'root.**.a', '']) {
      await expect(actors.list({ filter: { namespace } }, systemRequester)).rejects.toThrow(failsWith('namespace_path_invalid'));
    }
  });

  test('as many entries and ids as one actor may have are one list', async () => {
    const { actors } = await actorStage(await databases.open());
    const { id } = await actors.create({ namespace: 'root.a', external_id: 'x' }, systemRequester);
    const entries = Array.from({ length: 255 }, (_, at) => ({ ...all(`root.a.n${at}.**`), resource_ids: [`i${at}`, `j${at}`, `k${at}`] }));
    const by = requester([...entries, { ...all('root.a'), resource_ids: [id, ...Array.from({ length: 234 }, (_, at) => `l${at}`)] }]);
    expect((await actors.list({}, by)).items.map((actor) => actor.id)).toEqual([id]);
    expect((await actors.list({}, requester(entries))).items).toEqual([]);
  });

  test('a template of a label that the namespace hands down makes nobody mightier', async () => {
    const { actors } = await actorStage(await databases.open());
    const { id } = await actors.create(
      { namespace: 'root.a', external_id: 'x', permissions: [all('root.a.{{labels.apxy/act/-/id}}')] },
      systemRequester,
    );
    const actor = await actors.get(id, systemRequester);
    expect(actors.authority({ ...actor, labels: { 'apxy/act/-/id': 'b' } }).permissions).toEqual({ kind: 'nothing' });
  });

  test('an underscore in a namespace is no wildcard', async () => {
    const { actors } = await actorStage(await databases.open());
    await actors.create({ namespace: 'root.teamXa', external_id: 'x' }, systemRequester);
    expect((await actors.list({}, requester([all('root.team_a.**')]))).items).toEqual([]);
  });

  test('permissions that have nothing in common with the filter show nothing: not an unfiltered list', async () => {
    const { actors } = await actorStage(await databases.open());
    await actors.create({ namespace: 'root.team_a', external_id: 'x' }, systemRequester);
    await expect(actors.list({ filter: { namespace: 'root.team_a' } }, requester([all('root.a.**')]))).rejects.toThrow(
      failsWith('permission_denied'),
    );
    await expect(actors.list({}, requester([]))).rejects.toThrow(failsWith('permission_denied'));
  });
});

describeOnBoth('keys of actors', (databases) => {
  test('are added, rotated with an overlap, and revoked', async () => {
    let time = 1_000_000;
    const { actors, keys } = await actorStage(await databases.open(), () => time);
    const name = { namespace: 'root.a', external_id: 'ada' };
    const { id } = await actors.create(name, systemRequester);
    const first = await keys.add(id, { public_key: newPublicKey(), name: 'laptop' }, systemRequester);
    const second = await keys.add(id, { public_key: newPublicKey(), expire_others_after: 60 }, systemRequester);
    const usable = async () => (await keys.usable(name)).map(({ thumbprint }) => thumbprint);
    expect(await usable()).toEqual([first.thumbprint, second.thumbprint]);
    time += 60_000;
    expect(await usable()).toEqual([second.thumbprint]);
    await keys.revoke(id, second.id, systemRequester);
    expect(await usable()).toEqual([]);
    expect((await keys.list(id, {}, systemRequester)).items.map((key) => key.revoked_at)).toEqual([null, time]);
    await expect(keys.revoke(id, 'akey_none', systemRequester)).rejects.toThrow(failsWith('actor_key_not_found'));
  });

  test('a key is there once, and does not come back after it was revoked', async () => {
    const { actors, keys } = await actorStage(await databases.open());
    const { id } = await actors.create({ namespace: 'root.a', external_id: 'ada' }, systemRequester);
    const key = newPublicKey();
    const { id: keyId } = await keys.add(id, { public_key: key }, systemRequester);
    await keys.revoke(id, keyId, systemRequester);
    await expect(keys.add(id, { public_key: key }, systemRequester)).rejects.toThrow(failsWith('actor_key_exists'));
  });

  test('who gives an actor a key has to hold all that the actor holds: whoever has the key is the actor', async () => {
    const { actors, keys } = await actorStage(await databases.open());
    const { id } = await actors.create({ namespace: 'root.a', external_id: 'boss', permissions: [all('root.a.**')] }, systemRequester);
    const clerk = requester([{ namespace: 'root.a', resources: ['actors'], verbs: ['get', 'update'] }]);
    await expect(keys.add(id, { public_key: newPublicKey() }, clerk)).rejects.toThrow(failsWith('grant_exceeds_granter'));
    await keys.add(id, { public_key: newPublicKey() }, requester([all('root.a.**')]));
  });

  test('are in pages, and a cursor of one actor is none of another’s', async () => {
    const { actors, keys } = await actorStage(await databases.open());
    const { id } = await actors.create({ namespace: 'root.a', external_id: 'ada' }, systemRequester);
    const { id: other } = await actors.create({ namespace: 'root.a', external_id: 'bob' }, systemRequester);
    for (const _ of [1, 2, 3]) await keys.add(id, { public_key: newPublicKey() }, systemRequester);
    const first = await keys.list(id, { limit: 2 }, systemRequester);
    expect(first.items).toHaveLength(2);
    const rest = await keys.list(id, { cursor: first.cursor }, systemRequester);
    expect(new Set([...first.items, ...rest.items].map((key) => key.id)).size).toBe(3);
    expect(rest.cursor).toBeUndefined();
    await expect(keys.list(other, { cursor: first.cursor }, systemRequester)).rejects.toThrow(failsWith('cursor_invalid'));
  });

  test('that have ended are kept up to a number, those that ended last', async () => {
    const { database, actors, keys } = await actorStage(await databases.open());
    const name = { namespace: 'root.a', external_id: 'ada' };
    const { id } = await actors.create(name, systemRequester);
    const good = await keys.add(id, { public_key: newPublicKey() }, systemRequester);
    await insertEndedKeys(database, id, 40_000);
    const added = await keys.add(id, { public_key: newPublicKey() }, systemRequester);
    const { items } = await keys.list(id, { limit: 1000 }, systemRequester);
    expect(items).toHaveLength(256);
    expect(
      items
        .filter((key) => key.revoked_at === null)
        .map((key) => key.id)
        .sort(),
    ).toEqual([good.id, added.id].sort());
    expect(Math.min(...items.flatMap((key) => key.revoked_at ?? []))).toBe(40_000 - 254 + 1);
    expect((await keys.usable(name)).map(({ thumbprint }) => thumbprint)).toEqual([good.thumbprint, added.thumbprint]);
  });

  test('however many they are, end with their actor', async () => {
    const { database, actors, keys } = await actorStage(await databases.open());
    const name = { namespace: 'root.a', external_id: 'ada' };
    const { id } = await actors.create(name, systemRequester);
    const { id: other } = await actors.create({ ...name, external_id: 'bob' }, systemRequester);
    await insertEndedKeys(database, id, 40_000);
    await keys.add(other, { public_key: newPublicKey() }, systemRequester);
    await actors.remove(id, systemRequester);
    await expect(actors.get(id, systemRequester)).rejects.toThrow(failsWith('actor_not_found'));
    expect(await keys.usable({ ...name, external_id: 'bob' })).toHaveLength(1);
  });

  test('are not for people of an identity provider, whose roles would not end them', async () => {
    const { actors, keys } = await actorStage(await databases.open());
    const { id } = await actors.create({ namespace: 'root.a', external_id: 'ada', source: 'oidc' }, systemRequester);
    await expect(keys.add(id, { public_key: newPublicKey() }, systemRequester)).rejects.toThrow(failsWith('actor_key_not_allowed'));
  });

  test('end with their actor', async () => {
    const { actors, keys } = await actorStage(await databases.open());
    const name = { namespace: 'root.a', external_id: 'ada' };
    const { id } = await actors.create(name, systemRequester);
    await keys.add(id, { public_key: newPublicKey() }, systemRequester);
    await actors.remove(id, systemRequester);
    expect(await keys.usable(name)).toEqual([]);
    await actors.create(name, systemRequester);
    expect(await keys.usable(name)).toEqual([]);
  });
});
