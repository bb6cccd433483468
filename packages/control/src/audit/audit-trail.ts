import type { Json } from '../database/canonical-json.js';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import { type ListDefinition, type Page, type PageRequest, planPage, readPage } from '../database/paging.js';
import { purge } from '../database/purge.js';
import type { Queryable } from '../database/schema.js';
import type { Sealer } from '../database/sealer.js';
import { type NamespaceScope, narrowScope } from '../namespaces/namespace-matcher.js';
import { ROOT } from '../namespaces/namespace-path.js';
import { type AuditConditions, type AuditEventsTable, insertAuditEvent, oldAuditEvents, selectAuditEvents } from './audit-store.js';
import { type AuditedFields, storedFields } from './audited-fields.js';

/** Who makes a change, and in which request. */
export interface ChangeContext {
  readonly actorId: string;
  readonly requestId?: string | undefined;
}

/** What the system does on its own is done by this actor. */
export const SYSTEM_ACTOR = 'system';

/** One change of one resource. */
export interface AuditedChange {
  /** `RESOURCES.VERB`, as `namespaces.create`. */
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly namespace: string;
  /** Left out when it is new. */
  readonly before?: AuditedFields | undefined;
  /** Left out when it is gone. */
  readonly after?: AuditedFields | undefined;
}

/** A change as it stands in the trail. */
interface AuditEvent {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly actorId: string;
  readonly requestId: string | undefined;
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly namespace: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

/** Which events a client wants to see. `namespace` is a matcher. */
export type AuditFilter = AuditConditions & { readonly namespace?: string | undefined };

/** The trail of administrative changes. It is only ever added to, and what is older than the retention goes. */
export interface AuditTrail {
  /** Writes the change down in the transaction that makes it: both are there afterwards or neither. Secrets become digests. */
  record(trx: Queryable, who: ChangeContext, change: AuditedChange): Promise<void>;
  /** The newest first. `visible` is what the caller may see: what it does not contain does not exist for the caller. */
  list(request: PageRequest<AuditFilter>, visible: NamespaceScope): Promise<Page<AuditEvent>>;
  /** Deletes for good what is older, and writes down how many events that were. Answers the number. */
  purge(retentionMs: number, signal?: AbortSignal): Promise<number>;
}

export interface AuditTrailOptions {
  readonly database: Database;
  readonly sealer: Sealer;
  readonly now?: () => number;
}

/** The list of the trail. */
export const auditList: ListDefinition = { name: 'audit_events', orders: { created_at: ['created_at', 'id'] }, defaultOrder: 'created_at DESC' };

/** The trail in this database. */
export function createAuditTrail({ database, sealer, now = Date.now }: AuditTrailOptions): AuditTrail {
  async function record(trx: Queryable, who: ChangeContext, change: AuditedChange): Promise<void> {
    const stored = (fields: AuditedFields | undefined): string | null => (fields === undefined ? null : storedFields(fields, sealer));
    await insertAuditEvent(trx, {
      id: newId('aud'),
      created_at: now(),
      actor_id: who.actorId,
      action: change.action,
      resource_type: change.resourceType,
      resource_id: change.resourceId,
      namespace: change.namespace,
      request_id: who.requestId ?? null,
      before: stored(change.before),
      after: stored(change.after),
    });
  }

  async function list(request: PageRequest<AuditFilter>, visible: NamespaceScope): Promise<Page<AuditEvent>> {
    const plan = planPage(auditList, request, sealer);
    const { namespace, ...conditions } = plan.filter;
    const scope = narrowScope(visible, namespace);
    const page = await readPage(selectAuditEvents(database.db, scope, conditions), auditList, plan, sealer);
    return { ...page, items: page.items.map(asEvent) };
  }

  async function purgeOlder(retentionMs: number, signal?: AbortSignal): Promise<number> {
    const deleted = await purge(database, oldAuditEvents, { before: now() - retentionMs, ...(signal === undefined ? {} : { signal }) });
    if (deleted > 0) {
      const change = { action: 'audit_events.purge', resourceType: 'audit_events', resourceId: '*', namespace: ROOT, after: { deleted } };
      await database.transaction((trx) => record(trx, { actorId: SYSTEM_ACTOR }, change));
    }
    return deleted;
  }

  return { record, list, purge: purgeOlder };
}

function asEvent(row: AuditEventsTable): AuditEvent {
  return {
    id: row.id,
    createdAt: row.created_at,
    actorId: row.actor_id,
    requestId: row.request_id ?? undefined,
    action: row.action,
    resourceType: row.resource_type,
    resourceId: row.resource_id,
    namespace: row.namespace,
    before: fromStored(row.before),
    after: fromStored(row.after),
  };
}

function fromStored(text: string | null): Json | undefined {
  return text === null ? undefined : (JSON.parse(text) as Json);
}
