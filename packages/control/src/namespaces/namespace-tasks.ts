import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { CronEntry } from '../tasks/cron-ticks.js';
import { defineTask, type Task } from '../tasks/task.js';
import type { Tasks } from '../tasks/tasks.js';
import type { DestructionStep, NamespaceDestruction, OnDestroyRequested } from './namespace-destruction.js';

const DESTROY_NAMESPACES = 'namespaces.destroy';
/** Namespaces in one transaction: each of them may bring as many rows along as its hooks do at once. */
const BATCH = 10;

/** When the task is due, in UTC. It is asked for with each deletion; this is for those whose task died. */
export const namespaceCron: readonly CronEntry[] = [{ task: DESTROY_NAMESPACES, schedule: '*/5 * * * *', payload: {} }];

/** Asks for the task in the transaction that asks for a deletion: deletions that wait are one run. */
export function destructionEnqueuer(tasks: () => Pick<Tasks, 'enqueue'>): OnDestroyRequested {
  return async (trx, who) => {
    await tasks().enqueue(trx, DESTROY_NAMESPACES, {}, { who, jobKey: 'requested' });
  };
}

/** Of many deletions that failed so many are named in the result. */
const FAILURES_NAMED = 100;

/**
 * The task that does the deletions that were asked for, one batch after the other until none is due. One that fails is in the result and keeps no
 * other back; it is tried again by one of the next runs.
 */
export function namespaceTasks(namespaces: Pick<NamespaceDestruction, 'destroyNextBatch'>): readonly Task[] {
  return [
    defineTask({
      name: DESTROY_NAMESPACES,
      schema: z.strictObject({}),
      singleton: true,
      async run({ signal, progress }) {
        let destroyed = 0;
        const finished: string[] = [];
        const failed = new Map<string, DestructionStep>();
        for (;;) {
          signal.throwIfAborted();
          const made = await namespaces.destroyNextBatch({ batchSize: BATCH, signal });
          if (made === undefined) break;
          const note = made.failure === null ? made.path : `${made.path}: ${made.failure}`;
          progress({ done: made.destroyed, total: made.total, note });
          if (made.error !== undefined) failed.set(made.id, made);
          else failed.delete(made.id);
          if (made.finished) {
            finished.push(made.id);
            destroyed += made.destroyed;
          }
        }
        // What is no error of ours is a fault of this program: after all the others are done the log is to have it.
        for (const { error } of failed.values()) if (!(error instanceof SallyportError)) throw error;
        const failures = [...failed.values()].slice(0, FAILURES_NAMED).map(({ id, path, failure }) => ({ id, path, code: failure }));
        return { deletions: finished.length, namespaces: destroyed, failed: failed.size, failures };
      },
    }),
  ];
}
