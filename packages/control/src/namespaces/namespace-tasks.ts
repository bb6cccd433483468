import { z } from 'zod';
import type { CronEntry } from '../tasks/cron-ticks.js';
import { defineTask, type Task } from '../tasks/task.js';
import type { Tasks } from '../tasks/tasks.js';
import type { NamespaceDestruction, OnDestroyRequested } from './namespace-destruction.js';

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

/** The task that does the deletions that were asked for, one batch after the other until none is left. */
export function namespaceTasks(namespaces: Pick<NamespaceDestruction, 'destroyNextBatch'>): readonly Task[] {
  return [
    defineTask({
      name: DESTROY_NAMESPACES,
      schema: z.strictObject({}),
      singleton: true,
      async run({ signal, progress }) {
        let destroyed = 0;
        const finished: string[] = [];
        for (;;) {
          signal.throwIfAborted();
          const made = await namespaces.destroyNextBatch({ batchSize: BATCH, signal });
          if (made === undefined) return { deletions: finished.length, namespaces: destroyed };
          progress({ done: made.destroyed, total: made.total, note: made.path });
          if (made.finished) {
            finished.push(made.id);
            destroyed += made.destroyed;
          }
        }
      },
    }),
  ];
}
