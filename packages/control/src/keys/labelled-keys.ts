import { type LabelledChildren, rowsOfSubtree } from '../labels/labelled-children.js';
import { keyTables } from './key-tables.js';

/** The keys, which carry what their namespace hands down. */
export const labelledKeys: LabelledChildren = {
  kind: 'key',
  async page(db, below, after, limit) {
    const query = keyTables(db).selectFrom('encryption_keys').selectAll().where('deleted_at', 'is', null);
    const rows = await rowsOfSubtree(query, ['namespace', 'created_at', 'id'], { below, after, limit });
    return rows.map(({ row: { id, namespace, name }, position }) => ({
      identity: { kind: 'key', id, namespace, ...(name === null ? {} : { name }) },
      parents: [{ kind: 'ns', id: namespace }],
      position,
    }));
  },
};
