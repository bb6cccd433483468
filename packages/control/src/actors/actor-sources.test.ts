import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { everything, permissionsOf } from '../permissions/permission.js';
import { insertActorKey } from './actor-key-store.js';
import { keyRow } from './actor-keys.js';
import { readKeyDirectory } from './actor-sources.js';
import { systemRequester } from './actors.js';
import { actorStage, all, newPublicKey } from './actors.test.support.js';
import { parsePublicKey } from './public-key.js';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-keys-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function failsWith(code: string) {
  return expect.objectContaining({ code });
}

describeOnBoth('actors of a configuration', (databases) => {
  test('become what is declared, and those of other sources stay', async () => {
    const { actors, keys, sources } = await actorStage(await databases.open());
    await actors.create({ namespace: 'root.a', external_id: 'by_hand' }, systemRequester);
    const ada = { namespace: 'root.a', external_id: 'ada', permissions: [all('root.a.**')], public_keys: newPublicKey() };
    const bob = { namespace: 'root', external_id: 'bob', permissions: [], labels: { team: 'blue' }, public_keys: newPublicKey() };
    const byHand = { namespace: 'root.a', external_id: 'by_hand', permissions: [all('root.a.**')], public_keys: newPublicKey() };
    expect(await sources.sync('config', [ada, bob, byHand])).toEqual({ created: 2, updated: 0, deleted: 0, conflicts: ['root.a by_hand'] });
    expect(await sources.sync('config', [ada, bob])).toEqual({ created: 0, updated: 0, deleted: 0, conflicts: [] });
    expect(await sources.sync('key_directory', [])).toEqual({ created: 0, updated: 0, deleted: 0, conflicts: [] });
    const next = { ...ada, public_keys: newPublicKey() };
    expect(await sources.sync('config', [next])).toEqual({ created: 0, updated: 1, deleted: 1, conflicts: [] });
    expect(await keys.usable(ada)).toHaveLength(1);
    // Back to the key of before: what a file holds can come back, other than what was revoked by hand.
    expect(await sources.sync('config', [ada])).toMatchObject({ updated: 1 });
    expect(await keys.usable(ada)).toHaveLength(1);
    expect(await actors.find('root', 'bob')).toBeUndefined();
    expect(await actors.find('root.a', 'by_hand')).toMatchObject({ source: 'api', permissions: [] });
  });

  test('a key that cannot be used changes nothing', async () => {
    const { actors, sources } = await actorStage(await databases.open());
    const good = { namespace: 'root.a', external_id: 'ada', public_keys: newPublicKey() };
    await expect(sources.sync('config', [good, { ...good, external_id: 'bob', public_keys: 'ssh-rsa AAAA' }])).rejects.toThrow(
      failsWith('actor_key_invalid'),
    );
    expect(await actors.find('root.a', 'ada')).toBeUndefined();
  });

  test('a directory of public keys is a list of actors', async () => {
    const { sources, keys } = await actorStage(await databases.open());
    writeFileSync(join(folder, 'ada.pub'), `${newPublicKey()}${newPublicKey()}`);
    writeFileSync(join(folder, 'notes.txt'), 'not a key');
    writeFileSync(join(folder, '.pub'), 'not a name');
    const declared = await readKeyDirectory(folder, 'root.a', [all('{{namespace}}')]);
    expect(declared.map(({ external_id }) => external_id)).toEqual(['ada']);
    expect(await sources.sync('key_directory', declared)).toMatchObject({ created: 1 });
    expect(await keys.usable({ namespace: 'root.a', external_id: 'ada' })).toHaveLength(2);
  });
});

describeOnBoth('actors that tokens describe', (databases) => {
  const name = { namespace: 'root.a', external_id: 'ada' };
  const issued = { ...name, issuer: 'https://host.example' };
  const described = { ...name, permissions: [all('root.a.b')], labels: { team: 'blue' } };

  test('are made, changed when the description changes, and left alone when it does not', async () => {
    const { sources } = await actorStage(await databases.open());
    const made = await sources.define(issued, described, everything, 'token');
    expect(made).toMatchObject({ ...described, source: 'token', version: 1, labels: { team: 'blue' } });
    expect((await sources.define(issued, described, everything, 'token')).version).toBe(1);
    expect(await sources.define(issued, { ...described, permissions: [] }, everything, 'token')).toMatchObject({
      id: made.id,
      version: 2,
      permissions: [],
    });
    expect((await sources.define(issued, name, everything, 'token')).version).toBe(2);
  });

  test('are changed in the name of the issuer', async () => {
    const { sources, audit } = await actorStage(await databases.open());
    await sources.define(issued, described, everything, 'token');
    await sources.define(issued, { ...described, permissions: [] }, everything, 'token');
    const trail = await audit.list({ filter: { resource_type: 'actors' } }, [{ path: 'root', subtree: true }]);
    expect(trail.items.map(({ action, actorId }) => `${action} ${actorId}`).sort()).toEqual([
      'actors.create issuer:https://host.example',
      'actors.update issuer:https://host.example',
    ]);
  });

  test('by many tokens at once, it is one actor', async () => {
    const { sources } = await actorStage(await databases.open());
    const made = await Promise.all(Array.from({ length: 5 }, () => sources.define(issued, described, everything, 'token')));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  });

  test('never hold more than the issuer may hand out', async () => {
    const { sources, actors } = await actorStage(await databases.open());
    const within = permissionsOf([{ namespace: 'root.a.**', resources: ['connections'], verbs: ['*'] }]);
    await expect(sources.define(issued, described, within, 'token')).rejects.toThrow(failsWith('grant_exceeds_granter'));
    expect(await actors.find(name.namespace, name.external_id)).toBeUndefined();
  });

  test('a deleted actor does not come back to life', async () => {
    const { sources, actors } = await actorStage(await databases.open());
    const { id } = await sources.define(issued, described, everything, 'token');
    await actors.remove(id, systemRequester);
    await expect(sources.define(issued, described, everything, 'token')).rejects.toThrow(failsWith('actor_not_found'));
  });

  test('labels that are the system’s are refused', async () => {
    const { sources } = await actorStage(await databases.open());
    await expect(sources.define(issued, { ...described, labels: { 'apxy/ns/-/id': 'root' } }, everything, 'token')).rejects.toThrow(
      failsWith('label_invalid'),
    );
  });

  test('what the configuration says about an actor is not overruled', async () => {
    const { sources } = await actorStage(await databases.open());
    await sources.sync('config', [{ ...name, permissions: [], public_keys: newPublicKey() }]);
    expect(await sources.define(issued, described, everything, 'token')).toMatchObject({ source: 'config', permissions: [] });
  });

  test.each([
    ['is of somebody else', { ...described, external_id: 'bob' }],
    ['is of another namespace', { ...described, namespace: 'root.team_a' }],
    ['has unknown members', { ...described, admin: true }],
    ['has a name that is not text', { ...described, external_id: 'ada\ud800' }, 'ada\ud800'],
  ])('a description that %s is refused', async (_, input, external_id = 'ada') => {
    const { sources } = await actorStage(await databases.open());
    await expect(sources.define({ ...issued, external_id }, input, everything, 'token')).rejects.toThrow(failsWith('actor_invalid'));
  });
});

describeOnBoth('actors that an identity provider vouched for', (databases) => {
  const name = { namespace: 'root.a', external_id: 'corp_ada', issuer: 'https://idp.example' };
  const described = { namespace: 'root.a', external_id: 'corp_ada', permissions: [all('root.a')] };

  test('lose permissions, keys and tokens when it does not any more', async () => {
    const { database, actors, keys, sources, audit } = await actorStage(await databases.open());
    const made = await sources.define(name, described, everything, 'oidc');
    // As they could be added once.
    await database.transaction(async (trx) => insertActorKey(trx, keyRow(made.id, await parsePublicKey(newPublicKey()), 'api', 1)));
    expect(await keys.usable(name)).toHaveLength(1);
    await sources.withdraw(made.id, name.issuer);
    expect(await keys.usable(name)).toEqual([]);
    const left = await actors.get(made.id, systemRequester);
    expect(left).toMatchObject({ permissions: [], token_generation: made.token_generation + 1 });
    const trail = await audit.list({ filter: { action: 'actors.withdraw' } }, [{ path: 'root', subtree: true }]);
    expect(trail.items).toMatchObject([{ actorId: 'issuer:https://idp.example', after: { permissions: [], revoked_keys: 1 } }]);
    await sources.withdraw(made.id, name.issuer);
    expect(await actors.get(made.id, systemRequester)).toEqual(left);
  });

  test('stay as they are when they are of another source', async () => {
    const { actors, sources } = await actorStage(await databases.open());
    const made = await actors.create(described, systemRequester);
    await sources.withdraw(made.id, name.issuer);
    await sources.withdraw('act_none', name.issuer);
    expect(await actors.get(made.id, systemRequester)).toEqual(made);
  });
});
