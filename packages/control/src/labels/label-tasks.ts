import { z } from 'zod';
import { isNamespacePath } from '../namespaces/namespace-path.js';
import type { CronEntry } from '../tasks/cron-ticks.js';
import { defineTask, type Task } from '../tasks/task.js';
import type { Tasks } from '../tasks/tasks.js';
import type { CarryProgress, EnqueueCarry, LabelCarrying } from './label-carrying.js';

const CARRY_LABELS = 'labels.carry';
const RECONCILE_LABELS = 'labels.reconcile';

/** When the tasks are due, in UTC: every hour for what was left undone, and every night for everything. */
export const labelCron: readonly CronEntry[] = [
  { task: RECONCILE_LABELS, schedule: '40 * * * *', payload: { everything: false } },
  { task: RECONCILE_LABELS, schedule: '17 3 * * *', payload: { everything: true } },
];

/** Puts the task into the queue: many changes of one namespace that wait are one. */
export function carryEnqueuer(tasks: () => Pick<Tasks, 'enqueue'>): EnqueueCarry {
  return (db, namespace, who) =>
    tasks().enqueue(db, CARRY_LABELS, { namespace }, { namespace, jobKey: namespace, ...(who === undefined ? {} : { who }) });
}

/** The tasks that hand labels down. Each may be run again at any time, and by several processes at once. */
export function labelTasks(carrying: Pick<LabelCarrying, 'step' | 'resume'>): readonly Task[] {
  return [
    defineTask({
      name: CARRY_LABELS,
      schema: z.strictObject({ namespace: z.string().refine(isNamespacePath) }),
      async run({ payload: { namespace }, signal, progress }) {
        let last: CarryProgress | undefined;
        for (;;) {
          signal.throwIfAborted();
          const made = await carrying.step(namespace, signal);
          // Nothing is left, or somebody else has done the rest.
          if (made === undefined) break;
          last = made;
          progress({ done: made.done, note: made.kind });
          if (made.finished) break;
        }
        const { done = 0, changed = 0, refused = 0, firstRefused = null } = last ?? {};
        return { done, changed, refused, ...(firstRefused === null ? {} : { first_refused: firstRefused }) };
      },
    }),
    defineTask({
      name: RECONCILE_LABELS,
      schema: z.strictObject({ everything: z.boolean() }),
      singleton: true,
      retry: { attempts: 3 },
      run: async ({ payload: { everything } }) => ({ namespaces: await carrying.resume(everything) }),
    }),
  ];
}
