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
  finishDestructions,
  insertDestruction,
  markDestroyed,
  markDestroying,
  type NamespaceDestructionsTable,
  type NamespacesTable,
  openDestructionOf,
  postponeDestruction,
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
interface DestructionProgress {
  readonly id: string;
  readonly path: string;
  /** How many namespaces there were at and below the path. */
  readonly total: number;
  /** How many this deletion has destroyed; some of the total may go with a deletion above or below it. */
  readonly destroyed: number;
  readonly finished: boolean;
  /** Batches that failed since the last one that did not: each is tried again, after a pause that grows. */
  readonly failures: number;
  /** The code of the error of the last of them. */
  readonly failure: string | null;
}

/** What one batch came to. */
export interface DestructionStep extends DestructionProgress {
  /** Why the batch was undone; it is there when it was. */
  readonly error?: unknown;
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
   * called again for the same namespace by the next batch, so that one with a million rows is not one transaction. When a batch fails nothing of it
   * stays, and its deletion pauses, so that the others go on. Undefined when nothing is due, or another process is at it.
   */
  destroyNextBatch(options?: { readonly batchSize?: number; readonly signal?: AbortSignal }): Promise<DestructionStep | undefined>;
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
/** The pause after a failure; it doubles with each further one, up to the longest. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 600_000;

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
      const time = now();
      const destruction: NamespaceDestructionsTable = {
        id: newId('nsd'),
        path,
        path_key: row.path_key,
        actor_id: who.actorId,
        request_id: who.requestId ?? null,
        total: await markDestroying(trx, path, time),
        destroyed: 0,
        failures: 0,
        failure: null,
        due_at: time,
        created_at: time,
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
  ): Promise<DestructionStep | undefined> {
    const { batchSize = BATCH, signal } = options;
    let claimed: NamespaceDestructionsTable | undefined;
    try {
      return await database.transaction(
        async (trx) => {
          claimed = await claimDestruction(trx, database.dialect, now());
          return claimed && (await destroyBatch(trx, claimed, batchSize, signal));
        },
        signal === undefined ? {} : { signal },
      );
    } catch (error) {
      // One that was interrupted has not failed.
      if (claimed === undefined || signal?.aborted === true) throw error;
      return await postpone(claimed, error);
    }
  }

  async function destroyBatch(
    trx: Transaction<Schema>,
    destruction: NamespaceDestructionsTable,
    batchSize: number,
    signal: AbortSignal | undefined,
  ): Promise<DestructionProgress> {
    const { id, path } = destruction;
    // One more than a batch, to know whether it is the last: the path is free as soon as its namespace is gone, and then nothing may be left to do.
    const left = await selectNextToDestroy(trx, path, batchSize + 1).execute();
    const gone = await callHooks(trx, left.slice(0, batchSize), signal);
    await markDestroyed(
      trx,
      gone.map((row) => row.id),
      now(),
    );
    await advanceDestruction(trx, id, gone.length);
    const advanced = { ...destruction, destroyed: destruction.destroyed + gone.length, failures: 0, failure: null };
    if (gone.length < left.length) return asProgress(advanced);
    for (const ended of await finishDestructions(trx, path, now())) await recordEnd(trx, ended);
    return { ...asProgress(advanced), finished: true };
  }

  /** A database that is not there is no fault of the deletion: then this fails too, and with it the attempt. */
  async function postpone({ id, failures }: NamespaceDestructionsTable, error: unknown): Promise<DestructionStep> {
    const code = error instanceof SallyportError ? error.code : 'internal_error';
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
    await database.transaction((trx) => postponeDestruction(trx, id, code, now() + pause));
    return { ...(await destructionProgress(id)), error };
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

  async function recordEnd(trx: Transaction<Schema>, { path, request_id, destroyed }: NamespaceDestructionsTable): Promise<void> {
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
  const { id, path, total, destroyed, failures, failure } = row;
  return { id, path, total, destroyed, finished: row.finished_at !== null, failures, failure };
}
