import type { Client } from '@sallyport/client';
import { parseProviderConfig, publicKeyData } from '@sallyport/control';
import { type Difference, differences } from './difference.js';
import { type ExistingKey, findKey } from './existing.js';
import { type KeyManifest, nameOf } from './manifest.js';
import { changedMarks, desiredMarks, requireOwn, type Step } from './step.js';

type Members = Readonly<Record<string, unknown>>;

const MASK = '********';

/** What it takes to have the key as it is described. Errors: `manifest_conflict`, `key_data_invalid`. */
export async function keySteps(client: Client, manifest: KeyManifest, set: string | undefined): Promise<readonly Step[]> {
  const { kind, place, spec } = manifest;
  const { namespace, name } = manifest.metadata;
  const existing = await findKey(client, namespace, name);
  requireOwn(manifest, existing, set);
  const marks = desiredMarks(manifest, existing, set);
  const common = { kind, name: nameOf(manifest), place };
  if (existing === null) {
    const described = { ...marks, key_data: masked(spec.key_data), ...(spec.state === 'disabled' && { state: spec.state }) };
    const perform = async (with_: Client): Promise<void> => {
      const { data, etag } = await with_.createKey({ body: { namespace, name, key_data: spec.key_data, ...marks } });
      if (spec.state === 'disabled') await with_.updateKey({ path: { id: data.id }, body: { state: spec.state }, ifMatch: etag });
    };
    return [{ ...common, action: 'create', differences: differences({}, described), perform }];
  }
  const changed = changedMarks(existing, marks);
  const data = dataDifferences(existing, spec.key_data);
  const state = spec.state === undefined ? [] : differences(existing.state, spec.state, ['state']);
  const all = [...data, ...state, ...changed.differences];
  if (all.length === 0) return [];
  const body = {
    ...changed.body,
    ...(data.length > 0 && { key_data: spec.key_data }),
    ...(state.length > 0 && spec.state !== undefined && { state: spec.state }),
  };
  const perform = async (with_: Client): Promise<void> => void (await with_.updateKey({ path: { id: existing.id }, body, ifMatch: existing.etag }));
  return [{ ...common, action: 'update', differences: all, perform }];
}

/** Where the material of the key is not where it is to be. What the server does not show cannot be compared, and counts as the same. */
function dataDifferences(existing: ExistingKey, wanted: Members): readonly Difference[] {
  const { type, ...desired } = parseProviderConfig(wanted);
  if (existing.provider !== type) return differences(existing.provider, type, ['key_data', 'provider']);
  // What was made at random stays; it stands there as what it became.
  if (type === 'random') return [];
  // A member that is left out is not there, and not one that is undefined.
  const after = JSON.parse(JSON.stringify(desired)) as Members;
  const found = differences(existing.keyData, after, ['key_data']).filter((one) => one.before !== MASK || typeof one.after !== 'string');
  const [shownBefore, shownAfter] = [masked(existing.keyData), masked(after)];
  return found.map(({ path }) => ({ path, before: memberAt(shownBefore, path.slice(1)), after: memberAt(shownAfter, path.slice(1)) }));
}

/** The data with what is secret masked. */
function masked(data: Members): unknown {
  const shown = publicKeyData(data as ReturnType<typeof parseProviderConfig>);
  const mask = (value: unknown, path: readonly string[]): unknown => {
    if (memberAt(shown, path) === undefined) return MASK;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mask(member, [...path, key])]));
  };
  return mask(data, []);
}

function memberAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Members)[key];
  }
  return at;
}
