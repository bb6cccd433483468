import type { Transaction } from 'kysely';
import type { Json } from '../database/canonical-json.js';
import type { Database } from '../database/open-database.js';
import type { Schema } from '../database/schema.js';
import { parseSchedule, type Schedule } from './schedule.js';
import { advanceSchedule, insertSchedule } from './task-store.js';

/** A task that is due by the clock. */
export interface CronEntry {
  readonly task: string;
  /** See {@link parseSchedule}. In UTC. */
  readonly schedule: string;
  readonly payload?: Json;
}

/** An entry as the runners know it. */
interface CronJob extends Schedule {
  /** Names the entry, here and in graphile-worker. No task can be called that. */
  readonly name: string;
  readonly task: string;
  readonly payload: Json;
}

/** Enqueues the task of an entry, in the transaction that notes its tick. */
type EnqueueTick = (trx: Transaction<Schema>, job: CronJob) => Promise<void>;

/** The ticks of all entries, each of which leads to one task, however many processes there are and whichever were down when it was due. */
export interface CronTicks {
  readonly jobs: readonly CronJob[];
  /** Notes the tick and enqueues the task, both or neither. Nothing happens when that was done before, or when a later tick is due already. */
  fire(job: CronJob, tick: number): Promise<void>;
  /** For a runner without an engine that keeps the time: notes the entries that are new, and fires those that are due. */
  fireDue(): Promise<void>;
}

export interface CronTicksOptions {
  readonly database: Database;
  readonly entries: readonly CronEntry[];
  readonly enqueue: EnqueueTick;
  readonly now: () => number;
}

/** Throws on an entry that is no schedule (`task_schedule_invalid`) or is there twice. */
export function createCronTicks({ database, entries, enqueue, now }: CronTicksOptions): CronTicks {
  const jobs = entries.map(({ task, schedule, payload = {} }) => ({ ...parseSchedule(schedule), name: `cron ${task} ${schedule}`, task, payload }));
  const twice = jobs.find(({ name }, index) => jobs.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw new Error(`The task '${twice.task}' is scheduled twice at '${twice.pattern}'.`);
  const nextAt = new Map<CronJob, number>();

  async function fire(job: CronJob, tick: number): Promise<void> {
    // Of several ticks that were missed the last one stands for all.
    if ((job.nextTick(tick) ?? Number.POSITIVE_INFINITY) <= now()) return;
    await database.transaction(async (trx) => {
      if (await advanceSchedule(trx, job.name, tick)) await enqueue(trx, job);
    });
  }

  async function fireDue(): Promise<void> {
    for (const job of jobs) {
      const time = now();
      if (time < (nextAt.get(job) ?? 0)) continue;
      const tick = job.lastTick(time) ?? 0;
      if (nextAt.has(job)) await fire(job, tick);
      else await begin(job, tick);
      nextAt.set(job, job.nextTick(time) ?? Number.POSITIVE_INFINITY);
    }
  }

  /** A new entry begins with its next tick; one that is known may have missed its last. */
  async function begin(job: CronJob, tick: number): Promise<void> {
    await database.transaction(async (trx) => {
      if (await insertSchedule(trx, job.name, tick)) return;
      if (await advanceSchedule(trx, job.name, tick)) await enqueue(trx, job);
    });
  }

  return { jobs, fire, fireDue };
}
