import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { until } from '../tasks/tasks.test.support.js';
import { newSigner } from '../tokens/tokens.test.support.js';
import { ask } from './running.test.support.js';
import { installation, isPending, persist, type ServeProcess } from './serve-command.test.support.js';

const KILLS = 15;
/** On a busy machine fewer than that, so that it comes to an end. */
const KILLS_AT_LEAST = 5;
const KILLING_MS = 45_000;
const CLIENTS = 3;

/** What one client was told that it has done. */
interface Acknowledged {
  readonly namespaces: string[];
  readonly keys: { readonly id: string; readonly value: string }[];
  readonly actors: { readonly id: string; readonly namespace: string }[];
  readonly actorKeys: { readonly actor: string; readonly id: string }[];
}

/** Everything that a list holds. */
async function all(url: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const items: Readonly<Record<string, unknown>>[] = [];
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const { status, body } = await ask(`${url}?limit=1000${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
    expect(status).toBe(200);
    items.push(...body.items);
    cursor = body.cursor;
  }
  return items;
}

describeOnBoth('a process that is killed again and again', (databases) => {
  test('loses nothing that it has acknowledged, does nothing twice and nothing by halves', async () => {
    const options = await databases.empty();
    const made = installation(options);
    expect((await made.run('migrate')).code).toBe(0);
    let serving: ServeProcess = await made.serve('all');
    let written = 0;
    let lost = 0;
    let over = false;
    const admin = (): string => serving.url('admin-api');

    /** What was made: from the answer, or where that is lost, from a list in which it must be then. */
    async function write(path: string, body: unknown, key: string, list: string): Promise<Readonly<Record<string, unknown>>> {
      const answer = await persist(admin, 'POST', path, body, key);
      const { status, text } = answer;
      if (isPending(answer)) {
        const found = await persist(admin, 'GET', list, undefined, key);
        expect({ list, text: found.text, status: found.status, found: found.body.items?.length }).toMatchObject({ status: 200, found: 1 });
        lost += 1;
        return found.body.items[0] as Readonly<Record<string, unknown>>;
      }
      expect({ path, text, status }).toMatchObject({ status: 201 });
      written += 1;
      return answer.body as Readonly<Record<string, unknown>>;
    }

    async function client(name: string): Promise<Acknowledged> {
      const acknowledged: Acknowledged = { namespaces: [], keys: [], actors: [], actorKeys: [] };
      for (let index = 0; !over; index += 1) {
        const namespace = `root.${name}-${index}`;
        const mark = `${name}-${index}`;
        await write('/namespaces', { path: namespace, labels: { mark } }, `ns-${mark}`, `/namespaces?namespace=${namespace}`);
        acknowledged.namespaces.push(namespace);
        const value = `the material of the key ${mark}`;
        const key = await write(
          '/keys',
          { namespace, name: mark, key_data: { value }, labels: { mark } },
          `key-${mark}`,
          `/keys?namespace=${namespace}`,
        );
        acknowledged.keys.push({ id: String(key.id), value });
        const actor = await write('/actors', { external_id: mark, namespace, labels: { mark } }, `actor-${mark}`, `/actors?namespace=${namespace}`);
        acknowledged.actors.push({ id: String(actor.id), namespace });
        const publicKey = { public_key: JSON.stringify(newSigner('ed25519').publicJwk) };
        const ofActor = `/actors/${String(actor.id)}/keys`;
        const added = await write(ofActor, publicKey, `actor-key-${mark}`, ofActor);
        acknowledged.actorKeys.push({ actor: String(actor.id), id: String(added.id) });
        if (index % 4 === 0) expect([202, 409]).toContain((await persist(admin, 'POST', '/reencryption/_run', undefined, `run-${mark}`)).status);
      }
      return acknowledged;
    }

    const clients = Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(`c${index}`)));
    let failed: unknown;
    clients.catch((error: unknown) => {
      failed = error;
    });
    const begun = performance.now();
    for (let kill = 0; kill < KILLS && (kill < KILLS_AT_LEAST || performance.now() - begun < KILLING_MS); kill += 1) {
      // By the writes and not by the clock, so that each life does something; where in the next one it ends is chance.
      const enough = written + lost + 1 + Math.floor(Math.random() * 8);
      await until(() => written + lost >= enough || failed !== undefined);
      await new Promise((resolve) => void setTimeout(resolve, Math.random() * 15));
      expect(await serving.end('SIGKILL')).toBe(null);
      serving = await made.serve('all');
    }
    over = true;
    const acknowledged = await clients;

    const [namespaces, keys, actors, events] = await Promise.all(
      ['namespaces', 'keys', 'actors', 'audit-events'].map((list) => all(`${admin()}/${list}`)),
    );
    const own = (list: typeof namespaces, field: string) => (list ?? []).filter((item) => /c\d-\d+$/.test(String(item[field])));
    // Everybody has gone on until there was an answer: what is there is what was acknowledged, neither less nor more.
    const said = (pick: (each: Acknowledged) => readonly string[]): readonly string[] => acknowledged.flatMap(pick).sort();
    expect(
      own(namespaces, 'path')
        .map(({ path }) => String(path))
        .sort(),
    ).toEqual(said((each) => each.namespaces));
    expect(
      own(keys, 'namespace')
        .map(({ id }) => String(id))
        .sort(),
    ).toEqual(said((each) => each.keys.map(({ id }) => id)));
    expect(
      own(actors, 'namespace')
        .map(({ id }) => String(id))
        .sort(),
    ).toEqual(said((each) => each.actors.map(({ id }) => id)));
    for (const item of [...own(namespaces, 'path'), ...own(keys, 'namespace'), ...own(actors, 'namespace')]) {
      expect(item.labels).toMatchObject({
        mark: String(item.path ?? item.namespace)
          .split('.')
          .at(-1),
      });
    }

    const created = (events ?? []).filter(({ action, namespace }) => /\.create$/.test(String(action)) && /c\d-\d+$/.test(String(namespace)));
    const subjects = created.map(({ resource_id: id }) => String(id)).sort();
    expect(subjects).toEqual(
      [
        ...said((each) => each.namespaces),
        ...said((each) => each.keys.map(({ id }) => id)),
        ...said((each) => each.actors.map(({ id }) => id)),
      ].sort(),
    );
    expect(new Set((events ?? []).map(({ id }) => id)).size).toBe(events?.length);

    for (const { id, value } of acknowledged.flatMap((each) => each.keys)) {
      expect((await ask(`${admin()}/keys/${id}`)).body.key_data).toEqual({ value });
      expect((await ask(`${admin()}/keys/${id}/versions`)).body.items).toMatchObject([{ state: 'active', destroyed: false }]);
    }
    for (const { actor, id } of acknowledged.flatMap((each) => each.actorKeys)) {
      expect((await ask(`${admin()}/actors/${actor}/keys`)).body.items.map((key: { id: string }) => key.id)).toEqual([id]);
    }

    // What the dead ones held comes free when their leases have run out.
    await ask(`${admin()}/reencryption/_run`, { method: 'POST' });
    const unfinished = async () => (await all(`${admin()}/tasks`)).filter(({ state }) => state !== 'succeeded');
    await expect.poll(unfinished, { timeout: 90_000, interval: 250 }).toEqual([]);
    expect(await serving.end('SIGTERM')).toBe(0);
    await expectNothingByHalves(databases.opened(options));
  }, 240_000);
});

/** Rows that have no place without another one: all of them were written in the transaction of that one. */
async function expectNothingByHalves({ db, dialect }: Database): Promise<void> {
  const halves = {
    labels: sql`select 1 from resource_labels where resource_type = 'ns' and resource_id not in (select path from namespaces)`,
    keyLabels: sql`select 1 from resource_labels where resource_type = 'key' and resource_id not in (select id from encryption_keys)`,
    actorLabels: sql`select 1 from resource_labels where resource_type = 'actor' and resource_id not in (select id from actors)`,
    keysWithoutVersion: sql`select 1 from encryption_keys where id not in (select key_id from encryption_key_versions)`,
    actorKeys: sql`select 1 from actor_keys where actor_id not in (select id from actors)`,
  };
  for (const [name, query] of Object.entries(halves)) expect({ [name]: (await query.execute(db)).rows }).toEqual({ [name]: [] });
  if (dialect === 'sqlite') expect((await sql`pragma integrity_check`.execute(db)).rows).toEqual([{ integrity_check: 'ok' }]);
}
