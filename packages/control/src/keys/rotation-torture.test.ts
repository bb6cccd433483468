import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import { type Children, childrenOf } from '../database/testing/child-process.test.support.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { createThings, openKeysStage, tester } from './keys-stage.test.support.js';

const ROWS = 60;
const KILLS = 8;
const idOf = (index: number): string => `thing_${String(index).padStart(4, '0')}`;
const namespaceOf = (index: number): string => ['root', 'root.a', 'root.a.b'][index % 3] ?? 'root';

let processes: Children;
beforeAll(() => {
  processes = childrenOf('keys', ['database', 'database/migrations', 'namespaces', 'audit', 'labels', 'permissions']);
});
afterAll(() => processes.close());

describeOnBoth('rotation during concurrent writes', (databases) => {
  test('loses nothing, however often the process that re-encrypts is killed', async () => {
    const options = await databases.empty();
    const database = databases.opened(options);
    await migrate(database);
    await createThings(database);
    // Two writers: one that looks up the active version for each row, and one that is always behind.
    const writer = await openKeysStage(database, { activeForMs: 0, messageBlock: 50 });
    const behind = await openKeysStage(database, { activeForMs: 1e9, messageBlock: 50 });
    const keys = ['key_global'];
    for (const namespace of ['root.a', 'root.a.b']) {
      const key = await writer.service.create({ namespace, keyData: { random: true } }, tester);
      await writer.service.assign(namespace, key.id, tester);
      keys.push(key.id);
    }
    const stored = new Map<string, string>();
    let counter = 0;
    async function write(index: number): Promise<void> {
      counter += 1;
      const value = `value ${counter}`;
      await (counter % 5 === 0 ? behind : writer).write(idOf(index), namespaceOf(index), value);
      stored.set(idOf(index), value);
    }
    for (let index = 0; index < ROWS; index += 1) await write(index);

    let writing = true;
    const writes = (async () => {
      for (let index = 0; writing; index = (index + 7) % ROWS) {
        await write(index);
        // A turn for the events of the child.
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const env = { ROTATION_DATABASE: JSON.stringify(options), ROTATION_KEYS: keys.join(' ') };
    let killed = 0;
    try {
      // In one run there are a few hundred statements; each round dies in another place of it.
      for (let round = 0; round < KILLS; round += 1) {
        const killAt = 6 + round * 23 + Math.floor(Math.random() * 20);
        if ((await processes.run('rotation-child.test.support.js', { ...env, ROTATION_KILL_AT: String(killAt) })).killed) killed += 1;
      }
      await processes.run('rotation-child.test.support.js', env);
    } finally {
      writing = false;
      await writes;
    }
    expect(killed).toBeGreaterThanOrEqual(KILLS / 2);
    expect(counter).toBeGreaterThan(ROWS);

    // Nobody writes any more: the last run leaves nothing under an old version, and all of those can go.
    await processes.run('rotation-child.test.support.js', { ...env, ROTATION_KEYS: '' });
    const last = await openKeysStage(database);
    await last.reencryption.run(new AbortController().signal);
    await last.retirement.retireUnused();
    await last.retirement.purgeRetired(0);
    const states = await sql<{ state: string; material: number }>`
      select state, sum(case when wrapped is null then 0 else 1 end) as material from encryption_key_versions group by state order by state`.execute(
      database.db,
    );
    expect(states.rows.map(({ state, material }) => [state, Number(material)])).toEqual([
      ['active', 3],
      ['retired', 0],
    ]);
    const restarted = await openKeysStage(database);
    const read = new Map<string, string>();
    for (const id of stored.keys()) read.set(id, await restarted.read(id));
    expect(read).toEqual(stored);
  }, 180_000);
});
