import { checkSystemLabels, isReservedKey, type Labels, SYSTEM_PREFIX } from './label-grammar.js';

/** The short name of a kind of resource inside system labels. */
export type LabelledKind = 'ns' | 'act' | 'cxn' | 'cxr' | 'key' | 'rl';

/** What a resource is, for the labels that the system gives it. */
export interface Identity {
  readonly kind: LabelledKind;
  readonly id: string;
  readonly name?: string;
  readonly namespace: string;
}

/** The labels that every resource has of itself: `apxy/KIND/-/id`, `…/name` and `…/ns`. */
export function implicitLabels({ kind, id, name, namespace }: Identity): Labels {
  const prefix = `${SYSTEM_PREFIX}/${kind}/-`;
  return { [`${prefix}/id`]: id, ...(name === undefined ? {} : { [`${prefix}/name`]: name }), [`${prefix}/ns`]: namespace };
}

/**
 * What a child receives from its parent: the parent's user labels as `apxy/KIND/KEY`, and the parent's system labels as they are. A user label
 * never becomes a user label of the child.
 */
export function carriedLabels(parentKind: LabelledKind, parentLabels: Labels): Labels {
  const carried: Record<string, string> = {};
  for (const [key, value] of Object.entries(parentLabels)) if (isReservedKey(key)) carried[key] = value;
  // Last, so that the nearest of several ancestors of one kind wins.
  for (const [key, value] of Object.entries(parentLabels)) if (!isReservedKey(key)) carried[`${SYSTEM_PREFIX}/${parentKind}/${key}`] = value;
  return carried;
}

/** All system labels of a resource: what its parents hand down, overruled by what it is. Throws `label_invalid` when there are too many. */
export function systemLabels(identity: Identity, carried: readonly Labels[]): Labels {
  return checkSystemLabels(Object.assign({}, ...carried, implicitLabels(identity)) as Labels);
}
