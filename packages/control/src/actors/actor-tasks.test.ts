import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeOnBoth, type TestDatabases } from '../database/testing/databases.test.support.js';
import { databaseWithTasks, type Followers, followersOn } from '../namespaces/followers.test.support.js';
import { who } from '../namespaces/namespaces.test.support.js';
import { actorTasks, type ConfiguredActors, syncConfiguredActors } from './actor-tasks.js';
import { systemRequester } from './actors.js';
import { all, newPublicKey } from './actors.test.support.js';

const base = mkdtempSync(join(tmpdir(), 'sallyport-actor-tasks-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const configured = (more: Partial<ConfiguredActors>): ConfiguredActors => ({ declared: [], directories: {}, schedule: '*/5 * * * *', ...more });
const declared = (namespace: string, external_id: string) => ({ namespace, external_id, permissions: [all(namespace)], public_keys: newPublicKey() });

const namesOf = async ({ actors }: Followers) =>
  (await actors.list({}, systemRequester)).items.map(({ namespace, external_id: name, source }) => `${source} ${namespace} ${name}`).sort();

async function stage(databases: TestDatabases): Promise<Followers> {
  const { options, database } = await databaseWithTasks(databases);
  return followersOn(options, database);
}

/** A control plane with the task of these directories, and what the last run of it said. */
async function withDirectories(databases: TestDatabases, directories: ConfiguredActors['directories']) {
  const { options, database } = await databaseWithTasks(databases);
  const domains = await followersOn(options, database);
  const { tasks, cron } = actorTasks(domains, configured({ directories }));
  const running = await followersOn(options, database, { tasks });
  const run = async () => {
    const { id } = await running.tasks.enqueue(database.db, 'actors.sync', {});
    return (await running.runAll()).find((task) => task.id === id);
  };
  return { ...domains, cron, run };
}

const folder = (files: Readonly<Record<string, string>>): string => {
  const path = mkdtempSync(join(base, 'keys-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
};

describeOnBoth('the actors of a configuration', (databases) => {
  test('are made at the start, with the namespaces that they need, and go when they are taken out', async () => {
    const made = await stage(databases);
    const [ada, bob] = [declared('root.new.team', 'ada'), declared('root', 'bob')];
    expect(await syncConfiguredActors(made, configured({ declared: [ada, bob] }))).toMatchObject({ created: 2, conflicts: [], left_out: [] });
    expect(await made.actorKeys.usable(ada)).toHaveLength(1);
    expect(await syncConfiguredActors(made, configured({ declared: [ada, bob] }))).toMatchObject({ created: 0, updated: 0, deleted: 0 });
    expect(await syncConfiguredActors(made, configured({ declared: [bob] }))).toMatchObject({ deleted: 1 });
    expect(await namesOf(made)).toEqual(['config root bob']);
  });

  test('of many processes that start at once are the same few', async () => {
    const { options, database } = await databaseWithTasks(databases);
    const [one, other] = [await followersOn(options, database), await followersOn(options, databases.opened(options))];
    const actors = ['ada', 'bob', 'cyd'].map((name) => declared('root.team', name));
    await syncConfiguredActors(one, configured({ declared: [declared('root.team', 'old')] }));
    const done = await Promise.all([one, other, one, other].map((each) => syncConfiguredActors(each, configured({ declared: actors }))));
    expect(done.every(({ conflicts }) => conflicts.length === 0)).toBe(true);
    expect(await namesOf(one)).toEqual(['ada', 'bob', 'cyd'].map((name) => `config root.team ${name}`));
    for (const actor of actors) expect(await one.actorKeys.usable(actor)).toHaveLength(1);
  });

  test('whose namespace is being deleted keep nobody else waiting', async () => {
    const made = await stage(databases);
    await made.namespaces.ensure('root.gone', who);
    await made.namespaces.destroy('root.gone', who);
    const result = await syncConfiguredActors(made, configured({ declared: [declared('root.gone', 'ada'), declared('root', 'bob')] }));
    expect(result).toMatchObject({ created: 1, left_out: ['root.gone'] });
    expect(await namesOf(made)).toEqual(['config root bob']);
  });

  test('that are wrong are an error at the start, and change nothing', async () => {
    const made = await stage(databases);
    const wrong = { ...declared('root', 'bob'), public_keys: 'ssh-rsa AAAA' };
    await expect(syncConfiguredActors(made, configured({ declared: [declared('root', 'ada'), wrong] }))).rejects.toMatchObject({
      code: 'actor_key_invalid',
    });
    expect(await namesOf(made)).toEqual([]);
  });
});

describeOnBoth('the actors of key directories', (databases) => {
  test('are those of all directories together, and follow the files', async () => {
    const [operators, team] = [
      folder({ 'ada.pub': newPublicKey(), 'notes.txt': 'x' }),
      folder({ 'ada.pub': newPublicKey(), 'bob.pub': newPublicKey() }),
    ];
    const made = await withDirectories(databases, {
      root: { keys_path: operators, permissions: [all('root.**')] },
      'root.team': { keys_path: team, permissions: [all('{{namespace}}')] },
    });
    expect(made.cron).toEqual([{ task: 'actors.sync', schedule: '*/5 * * * *', payload: {} }]);
    expect(await made.run()).toMatchObject({ state: 'succeeded', result: { created: 3, updated: 0, deleted: 0, conflicts: [], left_out: [] } });
    expect(await made.run()).toMatchObject({ result: { created: 0, updated: 0, deleted: 0 } });
    rmSync(join(team, 'bob.pub'));
    writeFileSync(join(operators, 'ada.pub'), newPublicKey());
    // A start looks after what the file declares, and leaves these alone.
    await syncConfiguredActors(made, configured({ declared: [], directories: { root: { keys_path: operators, permissions: [] } } }));
    expect(await made.run()).toMatchObject({ result: { created: 0, updated: 1, deleted: 1 } });
    expect(await namesOf(made)).toEqual(['key_directory root ada', 'key_directory root.team ada']);
    expect(made.problems).toEqual([]);
  });

  test('stay as they are when a directory cannot be read: it is not an empty one', async () => {
    const keys = folder({ 'ada.pub': newPublicKey() });
    const made = await withDirectories(databases, { root: { keys_path: keys, permissions: [] } });
    await made.run();
    rmSync(keys, { recursive: true });
    expect(await made.run()).toMatchObject({ state: 'dead', attempts: 3, error: { code: 'actor_directory_unreadable' } });
    expect(await namesOf(made)).toEqual(['key_directory root ada']);
    mkdirSync(keys);
    expect(await made.run()).toMatchObject({ state: 'succeeded', result: { deleted: 1 } });
  }, 60_000);

  test('go at the next start when no directory is configured any more', async () => {
    const made = await withDirectories(databases, { root: { keys_path: folder({ 'ada.pub': newPublicKey() }), permissions: [] } });
    await made.run();
    await syncConfiguredActors(made, configured({}));
    expect(await namesOf(made)).toEqual([]);
    expect(actorTasks(made, configured({})).cron).toEqual([]);
  });
});
