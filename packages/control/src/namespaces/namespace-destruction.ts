import { SallyportError } from '@sallyport/sdk';
import type { Transaction } from 'kysely';
import { type AuditTrail, type ChangeContext, SYSTEM_ACTOR } from '../audit/audit-trail.js';
import { checkVersion, type VersionCondition } from '../database/entity-tag.js';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import type { Schema } from '../database/schema.js';
import { lineageOf, ROOT, requireNamespacePath } from './namespace-path.js';
import {
  advanceDestruction,
  claimDestruction,
  findDestruction,
  findNamespace,
  insertDestruction,
  markDestroyed,
  markDestroying,
  type NamespaceDestructionsTable,
  type NamespacesTable,
  openDestructionOf,
  selectNextToDestroy,
} from './namespace-store.js';

/** What a domain does when a namespace goes: shred its keys, delete its rows. */
export type OnNamespaceDestroyed = (destroyed: {
  readonly path: string;
  /** Whatever is done here is there after the batch together with the state of the namespace, or neither is. */
  readonly trx: Transaction<Schema>;
  readonly signal: AbortSignal | undefined;
}) => Promise<'done' | 'more'>;

/** What follows from asking for a deletion, in the transaction that asks for it. */
export type OnDestroyRequested = (trx: Transaction<Schema>, who: ChangeContext) => Promise<void>;

/** The deletion of a subtree, as far as it is. */
export interface DestructionProgress {
  readonly id: string;
  readonly path: string;
  /** How many namespaces there were at and below the path. */
  readonly total: number;
  readonly destroyed: number;
  readonly finished: boolean;
}

/** The deletion of namespaces: asked for in one moment, done in batches by whoever calls `destroyNextBatch`. */
export interface NamespaceDestruction {
  /**
   * From this moment on nothing can be put into the namespace or anything below it; its contents go later. Asking again answers the deletion that
   * is under way. Rejects with `namespace_not_found`, `namespace_protected` (the root) or `precondition_failed`.
   */
  destroy(path: string, who: ChangeContext, ifMatch?: VersionCondition): Promise<DestructionProgress>;
  /**
   * Destroys the next namespaces of the oldest deletion, those below before what they are in, in one transaction. A hook that answers `more` is
   * called again for the same namespace by the next batch, so that one with a million rows is not one transaction. Undefined when there is nothing
   * to do, or another process is at it.
   */
  destroyNextBatch(options?: { readonly batchSize?: number; readonly signal?: AbortSignal }): Promise<DestructionProgress | undefined>;
  /** Rejects with `namespace_not_found` when there is no such deletion. */
  destructionProgress(id: string): Promise<DestructionProgress>;
}

interface Parts {
  readonly database: Database;
  readonly audit: AuditTrail;
  readonly hooks: readonly OnNamespaceDestroyed[];
  readonly onRequested: OnDestroyRequested | undefined;
  readonly now: () => number;
}

const BATCH = 100;

/** See {@link NamespaceDestruction}. */
export function createNamespaceDestruction({ database, audit, hooks, onRequested, now }: Parts): NamespaceDestruction {
  async function destroy(path: string, who: ChangeContext, ifMatch?: VersionCondition): Promise<DestructionProgress> {
    if (requireNamespacePath(path) === ROOT) throw new SallyportError('namespace_protected');
    return database.transaction(async (trx) => {
      const row = await findNamespace(trx, path);
      if (row === undefined) throw new SallyportError('namespace_not_found');
      const underWay = row.state === 'active' ? undefined : await openDestructionOf(trx, lineageOf(path));
      if (underWay !== undefined) return asProgress(underWay);
      checkVersion(row, ifMatch);
      const destruction: NamespaceDestructionsTable = {
        id: newId('nsd'),
        path,
        path_key: row.path_key,
        actor_id: who.actorId,
        request_id: who.requestId ?? null,
        total: await markDestroying(trx, path, now()),
        destroyed: 0,
        created_at: now(),
        finished_at: null,
      };
      await insertDestruction(trx, destruction);
      const { total } = destruction;
      await audit.record(trx, who, {
        ...resourceOf(path),
        action: 'namespaces.delete',
        before: { path, state: row.state },
        after: { path, state: 'destroying', total },
      });
      await onRequested?.(trx, who);
      return asProgress(destruction);
    });
  }

  async function destroyNextBatch(
    options: { readonly batchSize?: number; readonly signal?: AbortSignal } = {},
  ): Promise<DestructionProgress | undefined> {
    const { batchSize = BATCH, signal } = options;
    return database.transaction(
      async (trx) => {
        const destruction = await claimDestruction(trx, database.dialect);
        if (destruction === undefined) return undefined;
        const rows = await selectNextToDestroy(trx, destruction.path, batchSize).execute();
        const gone = await callHooks(trx, rows, signal);
        await markDestroyed(
          trx,
          gone.map((row) => row.id),
          now(),
        );
        const finished = gone.length === rows.length && rows.length < batchSize;
        await advanceDestruction(trx, destruction.id, gone.length, finished ? now() : null);
        const destroyed = destruction.destroyed + gone.length;
        if (finished) await recordEnd(trx, destruction, destroyed);
        return { ...asProgress(destruction), destroyed, finished };
      },
      signal === undefined ? {} : { signal },
    );
  }

  /** The namespaces that every hook is done with. Stops at the first one that needs another batch. */
  async function callHooks(
    trx: Transaction<Schema>,
    rows: readonly NamespacesTable[],
    signal: AbortSignal | undefined,
  ): Promise<readonly NamespacesTable[]> {
    for (const [index, { path }] of rows.entries()) {
      for (const hook of hooks) {
        signal?.throwIfAborted();
        if ((await hook({ path, trx, signal })) === 'more') return rows.slice(0, index);
      }
    }
    return rows;
  }

  async function recordEnd(trx: Transaction<Schema>, { path, request_id }: NamespaceDestructionsTable, destroyed: number): Promise<void> {
    const who = { actorId: SYSTEM_ACTOR, ...(request_id === null ? {} : { requestId: request_id }) };
    await audit.record(trx, who, {
      ...resourceOf(path),
      action: 'namespaces.destroyed',
      before: { path, state: 'destroying' },
      after: { destroyed },
    });
  }

  async function destructionProgress(id: string): Promise<DestructionProgress> {
    const row = await findDestruction(database.db, id);
    if (row === undefined) throw new SallyportError('namespace_not_found');
    return asProgress(row);
  }

  return { destroy, destroyNextBatch, destructionProgress };
}

function resourceOf(path: string): { resourceType: string; resourceId: string; namespace: string } {
  return { resourceType: 'namespaces', resourceId: path, namespace: path };
}

function asProgress(row: NamespaceDestructionsTable): DestructionProgress {
  return { id: row.id, path: row.path, total: row.total, destroyed: row.destroyed, finished: row.finished_at !== null };
}
