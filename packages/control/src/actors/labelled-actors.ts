import { type LabelledChildren, rowsOfSubtree } from '../labels/labelled-children.js';
import { selectLiveActors } from './actor-store.js';

/** The actors, which carry what their namespace hands down. */
export const labelledActors: LabelledChildren = {
  kind: 'act',
  async page(db, below, after, limit) {
    const rows = await rowsOfSubtree(selectLiveActors(db), ['namespace', 'external_id'], { below, after, limit });
    return rows.map(({ row: { id, namespace }, position }) => ({
      identity: { kind: 'act', id, namespace },
      parents: [{ kind: 'ns', id: namespace }],
      position,
    }));
  },
};
