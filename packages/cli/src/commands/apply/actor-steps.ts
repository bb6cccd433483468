import type { Client } from '@sallyport/client';
import { parsePublicKey } from '@sallyport/control';
import { SallyportError } from '@sallyport/sdk';
import { type Difference, differences } from './difference.js';
import { type ExistingPublicKey, findActor, findPublicKeys, type PermissionEntry } from './existing.js';
import { type ActorManifest, nameOf } from './manifest.js';
import { changedMarks, desiredMarks, requireOwn, type Step } from './step.js';

type PublicKeys = NonNullable<ActorManifest['spec']['public_keys']>;

/** What it takes to have the actor as it is described. Errors: `manifest_conflict`. */
export async function actorSteps(client: Client, manifest: ActorManifest, set: string | undefined): Promise<readonly Step[]> {
  const { kind, place, spec } = manifest;
  const { namespace, name } = manifest.metadata;
  const existing = await findActor(client, namespace, name);
  requireOwn(manifest, existing, set);
  const marks = desiredMarks(manifest, existing, set);
  const keys = await keyChanges(manifest, existing === null ? [] : await findPublicKeys(client, existing.id));
  const common = { kind, name: nameOf(manifest), place };
  const permissions = spec.permissions === undefined ? undefined : spec.permissions.map(sent);
  if (existing === null) {
    const described = { ...marks, ...(permissions !== undefined && { permissions }) };
    const perform = async (with_: Client): Promise<void> => {
      const { id } = (await with_.createActor({ body: { namespace, external_id: name, ...described } })).data;
      await keys.change(with_, id);
    };
    return [{ ...common, action: 'create', differences: [...differences({}, described), ...keys.differences], perform }];
  }
  const changed = changedMarks(existing, marks);
  const rules = permissions === undefined ? [] : differences(canonical(existing.permissions), canonical(permissions), ['permissions']);
  const all = [...rules, ...changed.differences, ...keys.differences];
  if (all.length === 0) return [];
  const body = { ...changed.body, ...(rules.length > 0 && permissions !== undefined && { permissions }) };
  const perform = async (with_: Client): Promise<void> => {
    if (Object.keys(body).length > 0) await with_.updateActor({ path: { id: existing.id }, body, ifMatch: existing.etag });
    await keys.change(with_, existing.id);
  };
  return [{ ...common, action: 'update', differences: all, perform }];
}

/** Which keys come and go. A new one comes before an old one goes, so that the actor is never without. */
async function keyChanges(manifest: ActorManifest, existing: readonly ExistingPublicKey[]) {
  const { public_keys: wanted } = manifest.spec;
  if (wanted === undefined) return { differences: [], change: async () => {} };
  const desired = new Map<string, PublicKeys[number]>();
  for (const key of wanted) desired.set((await parsePublicKey(key.public_key)).thumbprint, key);
  const added = [...desired].filter(([thumbprint]) => !existing.some((key) => key.thumbprint === thumbprint));
  const ended = existing.find(({ thumbprint, good }) => !good && desired.has(thumbprint));
  if (ended !== undefined) {
    const { file, line } = manifest.place;
    throw new SallyportError('manifest_conflict', {
      detail: `The key ${ended.name ?? ended.thumbprint} of Actor ${nameOf(manifest)} (${file}:${line}) was revoked or has ended, and never comes back.`,
      hint: 'Make a new key for the actor, and describe that one.',
    });
  }
  const gone = existing.filter(({ thumbprint, good }) => good && !desired.has(thumbprint));
  return {
    differences: [
      ...added.map(([thumbprint, { name }]): Difference => ({ path: ['public_keys', thumbprint], before: undefined, after: name ?? 'new' })),
      ...gone.map(({ thumbprint, name }): Difference => ({ path: ['public_keys', thumbprint], before: name ?? 'good', after: undefined })),
    ],
    async change(client: Client, id: string): Promise<void> {
      for (const [, { public_key, name }] of added) {
        await client.addActorKey({ path: { id }, body: { public_key, ...(name !== undefined && { name }) } });
      }
      for (const { id: key_id } of gone) await client.revokeActorKey({ path: { id, key_id } });
    },
  };
}

/** The same rules in one spelling: neither the order of rules nor that of the words in them means anything. */
function canonical(permissions: readonly PermissionEntry[]): readonly object[] {
  const texts = permissions.map((entry) => {
    const members = Object.entries({ ...entry } as Readonly<Record<string, unknown>>).filter(([, value]) => value !== undefined);
    const sorted = members.sort(([one], [other]) => (one < other ? -1 : 1));
    return JSON.stringify(
      Object.fromEntries(sorted.map(([key, value]) => [key, Array.isArray(value) ? [...new Set(value as readonly string[])].sort() : value])),
    );
  });
  return [...new Set(texts)].sort().map((text) => JSON.parse(text) as object);
}

type Written = NonNullable<ActorManifest['spec']['permissions']>[number];
type Sent = { [Member in keyof Written]: Exclude<Written[Member], undefined> };

function sent(entry: Written): Sent {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as Sent;
}
