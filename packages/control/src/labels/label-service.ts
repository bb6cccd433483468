import { SallyportError } from '@sallyport/sdk';
import { canonicalJson } from '../database/canonical-json.js';
import type { Queryable } from '../database/schema.js';
import { carriedLabels, type Identity, systemLabels } from './carried-labels.js';
import { checkAnnotations, checkUserLabels, isReservedKey, type Labels, labelInvalid } from './label-grammar.js';
import { type LabelledResource, readAnnotations, readLabels, removeLabels, replaceAnnotations, replaceLabels } from './label-store.js';
import type { LabelledChild, LabelParent } from './labelled-children.js';

export type { LabelledResource, LabelParent };

/** What a resource carries. */
export interface LabelSet {
  readonly labels: Labels;
  readonly annotations: Labels;
}

/** What a user changes; a map replaces all that the user had, what is left out stays. */
export interface LabelUpdate {
  readonly labels?: Labels | undefined;
  readonly annotations?: Labels | undefined;
}

/** Gives a new resource its labels: the user's, and the system's from what it is and what its parents carry. Part of the transaction that makes it. */
export async function labelNew(trx: Queryable, identity: Identity, parents: readonly LabelParent[], update: LabelUpdate): Promise<void> {
  await updateLabels(trx, { type: identity.kind, id: identity.id }, update);
  await carryLabels(trx, identity, parents);
}

/**
 * Works out the system labels of a resource anew from its parents. For every child when the labels of a parent change, parents before their
 * children; running it again changes nothing.
 */
export async function carryLabels(trx: Queryable, identity: Identity, parents: readonly LabelParent[]): Promise<void> {
  const carried: Labels[] = [];
  for (const { kind, id } of parents) carried.push(carriedLabels(kind, (await readLabels(trx, kind, [id])).get(id) ?? {}));
  await replaceLabels(trx, { type: identity.kind, id: identity.id }, systemLabels(identity, carried), 'system');
}

/** What came of handing labels down to many resources. */
interface CarriedToMany {
  /** How many had other labels before. */
  readonly changed: number;
  /** Those that would have more labels than there may be, or ones that cannot be: they keep what they have. */
  readonly refused: readonly Identity[];
}

/**
 * The same for many resources, parents before their children: a few statements when nothing is to be changed, however many there are. Reads the
 * parents in the transaction that writes the children, so that nothing that changes at the same time is overlooked.
 */
export async function carryLabelsToMany(trx: Queryable, children: readonly LabelledChild[]): Promise<CarriedToMany> {
  const known = await labelsAround(trx, children);
  const refused: Identity[] = [];
  let changed = 0;
  for (const { identity, parents } of children) {
    const { kind: type, id } = identity;
    const own = known.get(nameOf(identity)) ?? {};
    const [user, before] = [labelsIn(own, false), labelsIn(own, true)];
    const after = systemLabelsUnlessRefused(
      identity,
      parents.map((parent) => carriedLabels(parent.kind, known.get(nameOf(parent)) ?? {})),
    );
    if (after === undefined) {
      refused.push(identity);
    } else if (canonicalJson(after) !== canonicalJson(before)) {
      await replaceLabels(trx, { type, id }, after, 'system');
      known.set(nameOf(identity), { ...user, ...after });
      changed += 1;
    }
  }
  return { changed, refused };
}

/** What the children and their parents carry now, in one statement for each kind. */
async function labelsAround(trx: Queryable, children: readonly LabelledChild[]): Promise<Map<string, Labels>> {
  const ids = new Map<string, Set<string>>();
  for (const { kind, id } of children.flatMap(({ identity, parents }) => [identity, ...parents])) {
    ids.set(kind, (ids.get(kind) ?? new Set()).add(id));
  }
  const known = new Map<string, Labels>();
  for (const [kind, some] of ids) {
    for (const [id, labels] of await readLabels(trx, kind, [...some])) known.set(`${kind} ${id}`, labels);
  }
  return known;
}

function systemLabelsUnlessRefused(identity: Identity, carried: readonly Labels[]): Labels | undefined {
  try {
    return systemLabels(identity, carried);
  } catch (error) {
    if (error instanceof SallyportError && error.code === 'label_invalid') return undefined;
    throw error;
  }
}

function nameOf({ kind, id }: LabelParent): string {
  return `${kind} ${id}`;
}

function labelsIn(labels: Labels, system: boolean): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([key]) => isReservedKey(key) === system));
}

/** The labels of these that a user gave. */
export function userLabels(labels: Labels): Labels {
  return labelsIn(labels, false);
}

/** Replaces the user's labels, annotations or both; those of the system stay. Throws `label_invalid`. */
export async function updateLabels(trx: Queryable, resource: LabelledResource, { labels, annotations }: LabelUpdate): Promise<void> {
  if (labels !== undefined) await replaceLabels(trx, resource, checkUserLabels(labels), 'user');
  if (annotations !== undefined) await replaceAnnotations(trx, resource, checkAnnotations(annotations));
}

/** Sets one label of the user, or removes it (null). Throws `label_invalid` for one of the system, and for the 65th. */
export async function setLabel(trx: Queryable, resource: LabelledResource, key: string, value: string | null): Promise<void> {
  if (isReservedKey(key)) throw labelInvalid('A label of the system cannot be changed; its prefix is reserved.');
  const all = (await readLabels(trx, resource.type, [resource.id])).get(resource.id) ?? {};
  const own = Object.fromEntries(Object.entries(all).filter(([each]) => !isReservedKey(each) && each !== key));
  await updateLabels(trx, resource, { labels: value === null ? own : { ...own, [key]: value } });
}

/** Sets one annotation, or removes it (null). Throws `label_invalid`. */
export async function setAnnotation(trx: Queryable, resource: LabelledResource, key: string, value: string | null): Promise<void> {
  const { [key]: _, ...others } = (await readAnnotations(trx, resource.type, [resource.id])).get(resource.id) ?? {};
  await updateLabels(trx, resource, { annotations: value === null ? others : { ...others, [key]: value } });
}

/** What many resources of one kind carry, in two statements however many there are. Every id is in the map. */
export async function labelsOf(db: Queryable, type: string, ids: readonly string[]): Promise<ReadonlyMap<string, LabelSet>> {
  // Two, because asked for both at once SQLite walks through all labels of the type rather than look up those of the resources.
  const [labels, annotations] = [await readLabels(db, type, ids), await readAnnotations(db, type, ids)];
  return new Map(ids.map((id) => [id, { labels: labels.get(id) ?? {}, annotations: annotations.get(id) ?? {} }]));
}

/** Removes all labels and annotations. Part of the transaction that purges the resource. */
export async function unlabel(trx: Queryable, resource: LabelledResource): Promise<void> {
  await removeLabels(trx, resource);
}
