import type { Transaction } from 'kysely';
import type { ChangeContext } from '../audit/audit-trail.js';
import type { Database } from '../database/open-database.js';
import type { Queryable, Schema } from '../database/schema.js';
import { ROOT } from '../namespaces/namespace-path.js';
import { advanceCarry, beginCarry, beginCarryUnlessThere, findCarries, findCarry, finishCarry, type LabelCarryRow } from './label-carry-store.js';
import { carryLabelsToMany } from './label-service.js';
import type { LabelledChildren } from './labelled-children.js';

/** How far the labels of a namespace have been handed down. */
export interface CarryProgress {
  /** The kind of the resources that were looked at last. */
  readonly kind: string;
  /** How many resources have been looked at, and how many of them had other labels before. */
  readonly done: number;
  readonly changed: number;
  /** How many cannot have what they would be handed and keep what they have, and the first of them. */
  readonly refused: number;
  readonly firstRefused: string | null;
  readonly finished: boolean;
}

/** Hands the labels of namespaces down to everything below them, page by page. */
export interface LabelCarrying {
  /** To be called in the transaction that changes the user labels of a namespace. One that is under way begins anew. */
  changed(trx: Transaction<Schema>, namespace: string, who: ChangeContext): Promise<void>;
  /**
   * Works through the next page and notes how far it came, in one transaction; undefined when nothing is left. Whoever calls it, and however many do
   * at once, each page is worked through in its turn.
   */
  step(namespace: string, signal: AbortSignal): Promise<CarryProgress | undefined>;
  /** Sees to it that whatever was left undone is done, and with `everything` that all labels are looked at. Answers how many namespaces that were. */
  resume(everything: boolean): Promise<number>;
}

/** Puts the task that hands labels down into the queue. */
export type EnqueueCarry = (db: Queryable, namespace: string, who: ChangeContext | undefined) => Promise<unknown>;

export interface LabelCarryingOptions {
  readonly database: Database;
  /** All kinds that carry labels. A kind comes after those that it has parents of. */
  readonly children: readonly LabelledChildren[];
  readonly enqueue: EnqueueCarry;
  /** Resources in a page; 100 when left out. */
  readonly pageSize?: number;
  readonly now?: () => number;
}

const MOST_RESUMED = 1_000;

/**
 * The labels of this database. Why everything ends up right whatever happens meanwhile: a page reads the labels of the parents in the transaction
 * that writes the children; parents come before their children; a change during the run sends it back to its beginning, in the transaction of the
 * change; and a child that is made during the run has read labels that were current, or its transaction loses against ours and is run again
 * (serializable, on both databases).
 */
export function createLabelCarrying({ database, children, enqueue, pageSize = 100, now = Date.now }: LabelCarryingOptions): LabelCarrying {
  async function changed(trx: Transaction<Schema>, namespace: string, who: ChangeContext): Promise<void> {
    await beginCarry(trx, namespace, now());
    await enqueue(trx, namespace, who);
  }

  async function step(namespace: string, signal: AbortSignal): Promise<CarryProgress | undefined> {
    return database.transaction(
      async (trx) => {
        const row = await findCarry(trx, namespace);
        return row === undefined ? undefined : carryPage(trx, row);
      },
      { signal },
    );
  }

  async function carryPage(trx: Transaction<Schema>, row: LabelCarryRow): Promise<CarryProgress> {
    // A kind that another release knew is none here: then it begins with the first.
    const index = Math.max(
      0,
      children.findIndex(({ kind }) => kind === row.kind),
    );
    const current = children[index];
    const after = current?.kind === row.kind ? (row.after_position ?? undefined) : undefined;
    const page = (await current?.page(trx, row.namespace, after, pageSize)) ?? [];
    const carried = await carryLabelsToMany(trx, page);
    const [refused] = carried.refused;
    const next: LabelCarryRow = {
      ...row,
      kind: current?.kind ?? null,
      after_position: page.at(-1)?.position ?? row.after_position,
      done: row.done + page.length,
      changed: row.changed + carried.changed,
      refused: row.refused + carried.refused.length,
      first_refused: row.first_refused ?? (refused === undefined ? null : `${refused.kind} ${refused.id}`),
    };
    if (page.length === pageSize) return advance(trx, next, false);
    const following = children[index + 1];
    return advance(trx, following === undefined ? next : { ...next, kind: following.kind, after_position: null }, following === undefined);
  }

  async function advance(trx: Transaction<Schema>, row: LabelCarryRow, finished: boolean): Promise<CarryProgress> {
    await (finished ? finishCarry(trx, row.namespace) : advanceCarry(trx, row));
    const { kind, done, changed: different, refused, first_refused: firstRefused } = row;
    return { kind: kind ?? '', done, changed: different, refused, firstRefused, finished };
  }

  async function resume(everything: boolean): Promise<number> {
    return database.transaction(async (trx) => {
      if (everything) await beginCarryUnlessThere(trx, ROOT, now());
      const left = await findCarries(trx, MOST_RESUMED);
      for (const namespace of left) await enqueue(trx, namespace, undefined);
      return left.length;
    });
  }

  return { changed, step, resume };
}
