import type { Database } from '../database/open-database.js';
import { pause } from '../database/pause.js';
import type { TaskSource, TaskSourceOptions } from './task-source.js';
import { claimTask, selectDue, type TasksTable } from './task-store.js';

export interface TableSourceOptions extends TaskSourceOptions {
  readonly database: Database;
}

const PAUSE_AFTER_FAILURE_MS = 1_000;

/** Takes the tasks from the table: one process after the other, those that have been due for longest first. */
export function createTableSource(options: TableSourceOptions): TaskSource {
  const { database, tasks, attempts, lease, ticks, report, now, concurrency, pollIntervalMs } = options;
  const names = [...tasks.keys()];
  const stopping = new AbortController();
  let polledAt: number | undefined;
  let ticking = false;
  let wake: (() => void) | undefined;
  let nudged = false;
  let loop: Promise<void> = Promise.resolve();

  const resume = (): Promise<void> => lease.begin(null);

  async function start(): Promise<void> {
    await resume();
    await ticks.fireDue();
    ticking = true;
    loop = poll();
  }

  function nudge(): void {
    nudged = true;
    wake?.();
  }

  async function poll(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await ticks.fireDue();
        ticking = true;
        if (await takeOne()) continue;
      } catch (error) {
        ticking = false;
        report({ error });
        await rest(PAUSE_AFTER_FAILURE_MS);
        continue;
      }
      if (!nudged) await rest(pollIntervalMs);
    }
  }

  async function takeOne(): Promise<boolean> {
    const owner = lease.id();
    const look = nudged;
    nudged = false;
    if (owner === undefined || names.length === 0 || attempts.count() >= concurrency) return false;
    const row = await claimNext(owner, look);
    polledAt = now();
    if (row === undefined) return false;
    void attempts.run(row).then(nudge);
    return true;
  }

  /** The reader sees what is committed and stops nobody. After a nudge it may be that the transaction that enqueues has not ended yet. */
  async function claimNext(owner: string, look: boolean): Promise<TasksTable | undefined> {
    if (!look && (await selectDue(database.db, names, now()).executeTakeFirst()) === undefined) return undefined;
    return database.transaction(async (trx) => {
      const due = await selectDue(trx, names, now()).executeTakeFirst();
      if (due === undefined || stopping.signal.aborted) return undefined;
      const { name } = due;
      return claimTask(trx, { id: due.id, runningKey: tasks.get(name)?.singleton === true ? name : null }, owner, now());
    });
  }

  async function rest(milliseconds: number): Promise<void> {
    const over = new AbortController();
    wake = () => over.abort();
    const signal = AbortSignal.any([over.signal, stopping.signal]);
    await pause(milliseconds, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    wake = undefined;
  }

  function stop(): void {
    stopping.abort();
    ticking = false;
  }

  return { start, resume, nudge, stop, closed: () => loop, health: () => ({ polledAt, cron: ticking }) };
}
