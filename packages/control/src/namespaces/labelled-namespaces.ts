import type { Identity } from '../labels/carried-labels.js';
import type { LabelledChildren, LabelParent } from '../labels/labelled-children.js';
import { nameOf, parentOf } from './namespace-path.js';
import { selectTreeAfter } from './namespace-store.js';

/** The namespaces, which carry what the one they are in hands down. In the order of the tree. */
export const labelledNamespaces: LabelledChildren = {
  kind: 'ns',
  async page(db, below, after, limit) {
    const rows = await selectTreeAfter(db, below, after, limit).execute();
    return rows.map(({ path }) => ({ identity: namespaceIdentity(path), parents: namespaceParents(path), position: path }));
  },
};

/** What a namespace is, for the labels that the system gives it. */
export function namespaceIdentity(path: string): Identity {
  return { kind: 'ns', id: path, name: nameOf(path), namespace: path };
}

/** Whose labels a namespace carries. */
export function namespaceParents(path: string): readonly LabelParent[] {
  const parent = parentOf(path);
  return parent === undefined ? [] : [{ kind: 'ns', id: parent }];
}
