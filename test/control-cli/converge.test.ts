import { createClient } from '@sallyport/client';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Manifest, manifestSchema } from '../../packages/cli/src/commands/apply/manifest.js';
import { makePlan, performPlan } from '../../packages/cli/src/commands/apply/plan.js';
import { systemRequester } from '../../packages/control/src/actors/actors.js';
import { newKeyPair, servedPlane } from './stage.js';

const places = ['', '.a', '.a.x', '.b'] as const;
// What was revoked never comes back, so each of these is there in two worlds one after the other at most.
const pairs = Array.from({ length: 4 }, () => newKeyPair().publicPem);

const labels = fc.dictionary(fc.constantFrom('tier', 'team', 'x.example/y'), fc.constantFrom('', 'a', 'b'), { noNullPrototype: true });
const marks = { labels: fc.option(labels, { nil: undefined }), annotations: fc.option(labels, { nil: undefined }) };
const words = (...all: string[]) => fc.shuffledSubarray(all, { minLength: 1 });
const permission = fc.record({ below: fc.constantFrom('', '.**'), resources: words('actors', 'keys', 'tasks'), verbs: words('get', 'list') });
const actor = fc.record({
  ...marks,
  place: fc.nat(places.length - 1),
  name: fc.constantFrom('ada', 'bob', 'a/b c'),
  permissions: fc.option(fc.array(permission, { maxLength: 3 }), { nil: undefined }),
  keys: fc.option(fc.shuffledSubarray([0, 1]), { nil: undefined }),
});
const key = fc.record({
  ...marks,
  place: fc.nat(places.length - 1),
  name: fc.constantFrom('main', 'other'),
  data: fc.constantFrom({ random: true }, { value: 'one-secret-that-is-long-enough' }, { value: 'another-secret-that-is-long' }),
  state: fc.constantFrom(undefined, 'active', 'disabled'),
});
const world = fc.record({
  // Those that are there, in so far as those above them are.
  namespaces: fc.tuple(...places.slice(1).map(() => fc.option(fc.record({ ...marks, ownKey: fc.boolean() }), { nil: undefined }))),
  actors: fc.uniqueArray(actor, { selector: ({ place, name }) => `${place} ${name}`, maxLength: 5 }),
  keys: fc.uniqueArray(key, { selector: ({ place, name }) => `${place} ${name}`, maxLength: 4 }),
  /** After how many steps the process dies. */
  dies: fc.option(fc.nat(6), { nil: undefined }),
});
type World = typeof world extends fc.Arbitrary<infer Value> ? Value : never;

/** What somebody would write down to have this world below `base`; `turn` is how many there were before. */
function documentsOf({ namespaces, actors, keys }: World, base: string, turn: number): Manifest[] {
  const there = new Set(['']);
  const documents: object[] = [];
  const ownKeys = new Set(keys.filter(({ state }) => state !== 'disabled').map(({ place, name }) => `${places[place]}/${name}`));
  for (const [index, namespace] of namespaces.entries()) {
    const at = places[index + 1] ?? '';
    if (namespace === undefined || !there.has(at.slice(0, at.lastIndexOf('.')))) continue;
    there.add(at);
    const assigned = namespace.ownKey && ownKeys.has(`${at}/main`) ? 'main' : null;
    documents.push({
      kind: 'Namespace',
      metadata: { name: base + at, labels: namespace.labels, annotations: namespace.annotations },
      spec: { key: assigned },
    });
  }
  for (const { place, name, permissions, keys: public_keys, ...rest } of actors) {
    if (!there.has(places[place] ?? '')) continue;
    const rules = permissions?.map(({ below, ...rule }) => ({ namespace: `${base}${places[place]}${below}`, ...rule }));
    const spec = { permissions: rules, public_keys: public_keys?.map((offset) => ({ public_key: pairs[turn + offset] })) };
    documents.push({ kind: 'Actor', metadata: { namespace: base + places[place], name, ...rest }, spec });
  }
  for (const { place, name, data, state, ...rest } of keys) {
    if (!there.has(places[place] ?? '')) continue;
    documents.push({ kind: 'Key', metadata: { namespace: base + places[place], name, ...rest }, spec: { key_data: data, state } });
  }
  return documents.map((document) => ({ ...manifestSchema.parse(JSON.parse(JSON.stringify(document))), place: { file: 'world.yaml', line: 1 } }));
}

test('whatever was there, and wherever it was interrupted: applying once more leads there, and then there is nothing to do', {
  timeout: 240_000,
}, async () => {
  const control = await servedPlane();
  const client = createClient({ baseUrl: control.url(), getToken: () => control.admin.token() });
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(world, { minLength: 1, maxLength: 3 }), async (worlds) => {
      const base = `root.run${++count}`;
      const set = `set-${count}`;
      await control.plane.namespaces.create(base, systemRequester.context);
      for (const [turn, one] of worlds.entries()) {
        const documents = documentsOf(one, base, turn);
        const options = { set, prune: true };
        if (one.dies !== undefined) {
          const { steps, unchanged } = await makePlan(client, documents, options);
          await performPlan(client, { steps: steps.slice(0, one.dies), unchanged }, () => {}).catch(unlessKeyInUse);
          await worker();
        }
        // A key that values are encrypted with still goes the next time, after they have been moved.
        await performPlan(client, await makePlan(client, documents, options), () => {}).catch(unlessKeyInUse);
        await worker();
        await performPlan(client, await makePlan(client, documents, options), () => {});
        await worker();
        const after = await makePlan(client, documents, options);
        expect(after.steps.map(({ action, kind, name, differences }) => ({ action, kind, name, differences }))).toEqual([]);
        expect(after.unchanged).toBe(documents.length);
        expect(await there(base)).toEqual(documents.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort());
      }
    }),
    { numRuns: 12, endOnFailure: true },
  );

  /** What a worker does, here at once: of a namespace that is being deleted nothing is left, and everything is under the key of its namespace. */
  async function worker(): Promise<void> {
    while ((await control.plane.namespaces.destroyNextBatch()) !== undefined);
    await control.plane.reencryption.run(AbortSignal.timeout(60_000));
  }

  function unlessKeyInUse(error: unknown): void {
    expect(error).toMatchObject({ code: 'key_in_use' });
  }

  async function there(base: string): Promise<string[]> {
    const query = { namespace: `${base}.**`, limit: 1000 };
    const namespaces = (await client.listNamespaces({ query })).data.items.filter(({ path }) => path !== base).map(({ path }) => `Namespace ${path}`);
    const actors = (await client.listActors({ query })).data.items.map(({ external_id: name }) => `Actor ${name}`);
    const keys = (await client.listKeys({ query })).data.items.map(({ name }) => `Key ${name}`);
    return [...namespaces, ...actors, ...keys].sort();
  }
});
