import { SallyportError } from '@sallyport/sdk';
import type { Transaction } from 'kysely';
import type { AuditTrail, ChangeContext } from '../audit/audit-trail.js';
import type { AuditedFields } from '../audit/audited-fields.js';
import { canonicalJson } from '../database/canonical-json.js';
import { isUniqueViolation } from '../database/database-error.js';
import { checkVersion, type VersionCondition } from '../database/entity-tag.js';
import type { Database } from '../database/open-database.js';
import { type ListDefinition, type Page, type PageRequest, planPage, readPage } from '../database/paging.js';
import { purge } from '../database/purge.js';
import type { Queryable, Schema } from '../database/schema.js';
import type { Sealer } from '../database/sealer.js';
import { carryLabels, labelsOf, unlabel, userLabels } from '../labels/label-service.js';
import { namespaceIdentity, namespaceParents } from './labelled-namespaces.js';
import {
  createNamespaceDestruction,
  type NamespaceDestruction,
  type OnDestroyRequested,
  type OnNamespaceDestroyed,
} from './namespace-destruction.js';
import { type NamespaceScope, narrowScope } from './namespace-matcher.js';
import { lineageOf, parentOf, requireNamespacePath } from './namespace-path.js';

import {
  findNamespace,
  findNamespaces,
  finishedDestructions,
  goneNamespaces,
  insertNamespace,
  type NamespaceConditions,
  type NamespaceState,
  type NamespacesTable,
  selectNamespaces,
  touchNamespace,
} from './namespace-store.js';

/** A node of the tree. Times in milliseconds since 1970. */
export interface Namespace {
  readonly path: string;
  /** The last segment of the path. */
  readonly name: string;
  readonly state: NamespaceState;
  /** Counted up by each change; see `entityTag`. */
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Which namespaces a client wants to see. `namespace` is a matcher. */
export type NamespaceFilter = NamespaceConditions & { readonly namespace?: string | undefined };

/**
 * What others store along with a namespace (labels, annotations, its key), in the transaction that creates or changes it. Answers what of it
 * belongs into the audit trail.
 */
type ApplyToNamespace = (
  trx: Transaction<Schema>,
  namespace: Namespace,
) => Promise<{ readonly before?: AuditedFields; readonly after?: AuditedFields }>;

/** The tree of namespaces under `root`. */
export interface Namespaces extends NamespaceDestruction {
  /** Rejects with `namespace_path_invalid`, `namespace_parent_missing`, `namespace_not_active` (of the parent) or `namespace_exists`. */
  create(path: string, who: ChangeContext, apply?: ApplyToNamespace): Promise<Namespace>;
  /** Creates what is missing of the path, from the root down. Rejects with `namespace_not_active` when a part is being deleted. */
  ensure(path: string, who: ChangeContext): Promise<Namespace>;
  /** Rejects with `namespace_not_found`. */
  get(path: string): Promise<Namespace>;
  /** For other domains, in the transaction that puts something into a namespace: rejects with `namespace_not_found` or `namespace_not_active`. */
  requireActive(db: Queryable, path: string): Promise<Namespace>;
  /** In the order of the tree. `visible` is what the caller may see: what it does not contain does not exist for the caller. */
  list(request: PageRequest<NamespaceFilter>, visible: NamespaceScope): Promise<Page<Namespace>>;
  /** Rejects with `precondition_failed`, `namespace_not_found` or `namespace_not_active`. */
  update(path: string, who: ChangeContext, apply: ApplyToNamespace, ifMatch?: VersionCondition): Promise<Namespace>;
  /** Deletes for good what is left of namespaces that have been gone for longer. Answers how many they were. */
  purge(retentionMs: number, signal?: AbortSignal): Promise<number>;
}

export interface NamespacesOptions {
  readonly database: Database;
  readonly audit: AuditTrail;
  readonly sealer: Sealer;
  /** Called for each namespace that is destroyed, those below before what they are in. */
  readonly onNamespaceDestroyed?: readonly OnNamespaceDestroyed[];
  /** Called in the transaction that asks for a deletion. */
  readonly onDestroyRequested?: OnDestroyRequested;
  /** Called in the transaction that changes the labels that a user gave: what is below has to hear of it. */
  readonly onLabelsChanged?: (trx: Transaction<Schema>, path: string, who: ChangeContext) => Promise<void>;
  readonly now?: () => number;
}

/** The list of namespaces. */
export const namespaceList: ListDefinition = {
  name: 'namespaces',
  orders: { path: ['path_key'], state: ['state', 'path_key'], created_at: ['created_at', 'id'], updated_at: ['updated_at', 'id'] },
  defaultOrder: 'path ASC',
};

/** How often `ensure` looks again when another process creates the same path. */
const ATTEMPTS = 5;

/** The namespaces in this database. */
export function createNamespaces(options: NamespacesOptions): Namespaces {
  const { database, audit, sealer, onNamespaceDestroyed = [], onDestroyRequested, onLabelsChanged, now = Date.now } = options;

  async function create(path: string, who: ChangeContext, apply?: ApplyToNamespace): Promise<Namespace> {
    const parent = parentOf(requireNamespacePath(path));
    if (parent === undefined) throw new SallyportError('namespace_exists');
    return unlessTaken(() =>
      database.transaction(async (trx) => {
        const above = await findNamespace(trx, parent);
        if (above === undefined) {
          throw new SallyportError('namespace_parent_missing', {
            detail: `cannot create namespace '${path}' because parent namespace '${parent}' does not exist or is deleted`,
          });
        }
        if (above.state !== 'active') throw new SallyportError('namespace_not_active');
        const namespace = asNamespace(await insertLabelled(trx, path));
        const { after } = (await apply?.(trx, namespace)) ?? {};
        await audit.record(trx, who, { ...changeOf(path, 'create'), after: { path, ...after } });
        return namespace;
      }),
    );
  }

  async function ensure(path: string, who: ChangeContext): Promise<Namespace> {
    const lineage = lineageOf(requireNamespacePath(path));
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await database.transaction((trx) => createMissing(trx, lineage, who));
      } catch (error) {
        if (!isUniqueViolation(error, 'namespaces') || attempt >= ATTEMPTS) throw error;
      }
    }
  }

  async function createMissing(trx: Transaction<Schema>, lineage: readonly string[], who: ChangeContext): Promise<Namespace> {
    const there = new Map((await findNamespaces(trx, lineage)).map((row) => [row.path, row]));
    let last: NamespacesTable | undefined;
    for (const path of lineage) {
      last = there.get(path);
      if (last === undefined) {
        last = await insertLabelled(trx, path);
        await audit.record(trx, who, { ...changeOf(path, 'create'), after: { path } });
      } else if (last.state !== 'active') {
        throw new SallyportError('namespace_not_active', { detail: `Namespace '${path}' is being deleted.` });
      }
    }
    return asNamespace(last as NamespacesTable);
  }

  /** A new row, with what the one above hands down. */
  async function insertLabelled(trx: Transaction<Schema>, path: string): Promise<NamespacesTable> {
    const row = await insertNamespace(trx, path, now());
    await carryLabels(trx, namespaceIdentity(path), namespaceParents(path));
    return row;
  }

  async function get(path: string): Promise<Namespace> {
    return asNamespace(await requireNamespace(database.db, path));
  }

  async function requireActive(db: Queryable, path: string): Promise<Namespace> {
    return asNamespace(await requireActiveRow(db, path));
  }

  async function list(request: PageRequest<NamespaceFilter>, visible: NamespaceScope): Promise<Page<Namespace>> {
    const plan = planPage(namespaceList, request, sealer);
    const { namespace, ...conditions } = plan.filter;
    if (conditions.children_of !== undefined) requireNamespacePath(conditions.children_of);
    const scope = narrowScope(visible, namespace);
    const page = await readPage(selectNamespaces(database.db, scope, conditions), namespaceList, plan, sealer);
    return { ...page, items: page.items.map(asNamespace) };
  }

  async function update(path: string, who: ChangeContext, apply: ApplyToNamespace, ifMatch?: VersionCondition): Promise<Namespace> {
    return database.transaction(async (trx) => {
      const row = await requireActiveRow(trx, path);
      checkVersion(row, ifMatch);
      const namespace = asNamespace(await touchNamespace(trx, row, now()));
      const labels = await givenLabels(trx, path);
      const { before, after } = await apply(trx, namespace);
      if ((await givenLabels(trx, path)) !== labels) await onLabelsChanged?.(trx, path, who);
      await audit.record(trx, who, { ...changeOf(path, 'update'), before, after });
      return namespace;
    });
  }

  async function purgeGone(retentionMs: number, signal?: AbortSignal): Promise<number> {
    const purging = { before: now() - retentionMs, ...(signal === undefined ? {} : { signal }) };
    await purge(database, finishedDestructions, purging);
    return purge(database, goneNamespaces, purging);
  }

  const hooks: readonly OnNamespaceDestroyed[] = [...onNamespaceDestroyed, forgetLabels];
  const destruction = createNamespaceDestruction({ database, audit, hooks, onRequested: onDestroyRequested, now });
  return { create, ensure, get, requireActive, list, update, purge: purgeGone, ...destruction };
}

/** The labels that a user gave to it, as a text that is the same for the same labels. */
async function givenLabels(db: Queryable, path: string): Promise<string> {
  return canonicalJson(userLabels((await labelsOf(db, 'ns', [path])).get(path)?.labels ?? {}));
}

const forgetLabels: OnNamespaceDestroyed = async ({ path, trx }) => {
  await unlabel(trx, { type: 'ns', id: path });
  return 'done';
};

async function requireNamespace(db: Queryable, path: string): Promise<NamespacesTable> {
  const row = await findNamespace(db, requireNamespacePath(path));
  if (row === undefined) throw new SallyportError('namespace_not_found');
  return row;
}

async function requireActiveRow(db: Queryable, path: string): Promise<NamespacesTable> {
  const row = await requireNamespace(db, path);
  if (row.state !== 'active') throw new SallyportError('namespace_not_active');
  return row;
}

async function unlessTaken<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw isUniqueViolation(error, 'namespaces') ? new SallyportError('namespace_exists', { cause: error }) : error;
  }
}

function changeOf(path: string, verb: 'create' | 'update'): { action: string; resourceType: string; resourceId: string; namespace: string } {
  return { action: `namespaces.${verb}`, resourceType: 'namespaces', resourceId: path, namespace: path };
}

function asNamespace(row: NamespacesTable): Namespace {
  return { path: row.path, name: row.name, state: row.state, version: row.version, createdAt: row.created_at, updatedAt: row.updated_at };
}
