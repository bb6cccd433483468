import type { AuditTrail, ChangeContext } from '../audit/audit-trail.js';
import type { AuditedFields } from '../audit/audited-fields.js';
import type { Queryable } from '../database/schema.js';
import type { LabelSet } from '../labels/label-service.js';
import type { KeyRow } from './key-tables.js';

/** What is written down of a change of a key. */
interface KeyChange {
  readonly id: string;
  readonly namespace: string;
  readonly before?: AuditedFields;
  readonly after?: AuditedFields;
}

/** Writes a change of a key into the trail, in the transaction that makes it. */
export type RecordKeyChange = (trx: Queryable, who: ChangeContext, verb: string, change: KeyChange) => Promise<void>;

/** Writes into this trail. */
export function keyTrail(audit: AuditTrail): RecordKeyChange {
  return async (trx, who, verb, { id: resourceId, namespace, before, after }) => {
    await audit.record(trx, who, { action: `keys.${verb}`, resourceType: 'keys', resourceId, namespace, before, after });
  };
}

/** What the trail shows of a key: the provider stands for its data, whose ciphertext is different each time. */
export function auditedKey({ name, state, provider }: KeyRow, { labels, annotations }: LabelSet): AuditedFields {
  return { name, state, provider, labels: { ...labels }, annotations: { ...annotations } };
}
