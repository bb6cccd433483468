import type { Queryable } from '../database/schema.js';
import { carriedLabels, type Identity, type LabelledKind, systemLabels } from './carried-labels.js';
import { checkAnnotations, checkUserLabels, isReservedKey, type Labels, labelInvalid } from './label-grammar.js';
import { type LabelledResource, readAnnotations, readLabels, removeLabels, replaceAnnotations, replaceLabels } from './label-store.js';

export type { LabelledResource };

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

/** A resource whose labels are handed down. */
export interface LabelParent {
  readonly kind: LabelledKind;
  readonly id: string;
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
  const [labels, annotations] = [await readLabels(db, type, ids), await readAnnotations(db, type, ids)];
  return new Map(ids.map((id) => [id, { labels: labels.get(id) ?? {}, annotations: annotations.get(id) ?? {} }]));
}

/** Removes all labels and annotations. Part of the transaction that purges the resource. */
export async function unlabel(trx: Queryable, resource: LabelledResource): Promise<void> {
  await removeLabels(trx, resource);
}
