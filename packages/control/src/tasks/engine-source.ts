import { EventEmitter } from 'node:events';
import type { Secret } from '@sallyport/sdk';
import type { ParsedCronItem, TaskList, WorkerEvents } from 'graphile-worker';
import pg from 'pg';
import type { Database } from '../database/open-database.js';
import { pause } from '../database/pause.js';
import { quiet, requireTaskEngine } from './task-engine.js';
import type { TaskSource, TaskSourceOptions } from './task-source.js';
import { claimTask, findTask } from './task-store.js';
import type { TicketPayload, Tickets } from './tickets.js';

export interface EngineSourceOptions extends TaskSourceOptions {
  readonly database: Database;
  readonly tickets: Tickets;
  /** Where graphile-worker connects: it listens, and so needs connections of its own. */
  readonly url: string | Secret;
}

/** One that listens, and the rest for looking at the queue. The tasks themselves do not use them. */
const CONNECTIONS = 4;
/** How long a ticket rests whose task cannot run yet: its singleton runs, or this process holds no lease. */
const REST_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** Lets graphile-worker hand out the tasks and keep the time, and starts it anew whenever it gives up. */
export function createEngineSource(options: EngineSourceOptions): TaskSource {
  const { database, tasks, attempts, lease, ticks, tickets, report, now, concurrency, pollIntervalMs, url } = options;
  const stopping = new AbortController();
  let polledAt: number | undefined;
  let ticking = false;
  let poolId: string | undefined;
  let engine: Engine | undefined;
  let loop: Promise<void> = Promise.resolve();

  async function start(): Promise<void> {
    await requireTaskEngine(database);
    engine = await startEngine();
    loop = supervise(engine);
  }

  async function supervise(first: Engine): Promise<void> {
    for (let [current, failures]: [Engine | undefined, number] = [first, 0]; ; ) {
      await current?.ended.catch((error: unknown) => report({ error }));
      engine = undefined;
      ticking = false;
      if (stopping.signal.aborted) return;
      await pause(Math.min(500 * 2 ** failures, LONGEST_PAUSE_MS), stopping.signal).catch(() => undefined);
      if (stopping.signal.aborted) return;
      try {
        // Another version may have changed its tables, and then it must not be let near them.
        await requireTaskEngine(database);
        current = await startEngine();
        failures = 0;
      } catch (error) {
        report({ error });
        current = undefined;
        failures += 1;
      }
      engine = current;
      if (stopping.signal.aborted) current?.stop();
    }
  }

  async function startEngine(): Promise<Engine> {
    const { run, parseCronItems } = await import('graphile-worker');
    const pool = engineConnections(url, report);
    const events: WorkerEvents = new EventEmitter();
    const items = parseCronItems(ticks.jobs.map(({ name, pattern }) => ({ task: name, identifier: name, match: pattern })));
    events.on('pool:create', ({ workerPool }) => {
      poolId = workerPool.id;
    });
    events.on('cron:starting', ({ start: at }) => {
      ticking = false;
      makeUpForMissed(items, at.getTime());
    });
    events.on('cron:started', () => {
      ticking = true;
    });
    events.on('worker:getJob:empty', () => {
      polledAt = now();
    });
    events.on('job:start', () => {
      polledAt = now();
    });
    events.on('worker:getJob:error', ({ error }) => report({ error }));
    events.on('pool:listen:error', ({ error }) => report({ error }));
    events.on('job:error', ({ error }) => report({ error }));
    try {
      const runner = await run({
        ...{ pgPool: pool, concurrency, events, logger: await quiet(), taskList: taskList(), parsedCronItems: items },
        // Who ends the process is not the business of a library.
        noHandleSignals: true,
        // Asked before each look into the queue: nothing is taken before there is a lease to take it under.
        forbiddenFlags: resume,
        preset: {
          // With these it waits for the answer of the database; without them a failure there would be nobody's, and end the process.
          worker: { pollInterval: pollIntervalMs, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
        },
      });
      const stop = (): Promise<void> => runner.stop().catch((error: unknown) => report({ error }));
      return { ended: untilClosed(runner.promise, pool), stop: () => void stop() };
    } catch (error) {
      await pool.end();
      throw error;
    }
  }

  async function resume(): Promise<null> {
    if (!stopping.signal.aborted && poolId !== undefined) await lease.begin(poolId);
    return null;
  }

  /** The last tick that was due while nobody kept the time is made up for, and only that one. */
  function makeUpForMissed(items: readonly ParsedCronItem[], at: number): void {
    items.forEach((item, index) => {
      const tick = ticks.jobs[index]?.lastTick(at);
      item.options.backfillPeriod = tick === undefined ? 0 : at - tick + 1;
    });
  }

  function taskList(): TaskList {
    const ofTasks = [...tasks.keys()].map((name) => [name, (payload: unknown) => take(name, payload as TicketPayload)] as const);
    const ofTicks = ticks.jobs.map((job) => [job.name, (payload: unknown) => ticks.fire(job, tickOf(payload))] as const);
    return Object.fromEntries([...ofTasks, ...ofTicks]);
  }

  /** Ends when the attempt has ended, so that graphile-worker runs as many at once as it was told. */
  async function take(name: string, ticket: TicketPayload): Promise<void> {
    const singleton = tasks.get(name)?.singleton === true;
    const row = await database.transaction(
      async (trx) => {
        const owner = stopping.signal.aborted ? undefined : lease.id();
        const runningKey = singleton ? name : null;
        const claimed = owner === undefined ? undefined : await claimTask(trx, { id: ticket.task, fence: ticket.fence, runningKey }, owner, now());
        if (claimed === undefined) await giveBack(trx, ticket, singleton);
        return claimed;
      },
      { isolation: 'read committed' },
    );
    if (row !== undefined) await attempts.run(row);
  }

  /** A ticket that has been handed out is used up. If the task still waits for it, it gets another one. */
  async function giveBack(trx: Parameters<typeof findTask>[0], { task, fence }: TicketPayload, singleton: boolean): Promise<void> {
    const row = await findTask(trx, task);
    if (row === undefined || row.run_at === null || row.fence !== fence) return;
    await tickets.add(trx, { ...row, runAt: Math.max(row.run_at, now() + REST_MS), singleton });
  }

  function stop(): void {
    stopping.abort();
    ticking = false;
    engine?.stop();
  }

  async function closed(signal: AbortSignal): Promise<void> {
    await Promise.race([loop, new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))]);
  }

  // graphile-worker hears of new tickets by itself.
  return { start, resume: async () => void (await resume()), nudge: () => undefined, stop, closed, health: () => ({ polledAt, cron: ticking }) };
}

interface Engine {
  readonly ended: Promise<void>;
  readonly stop: () => void;
}

function engineConnections(url: string | Secret, report: TaskSourceOptions['report']): pg.Pool {
  const connectionString = typeof url === 'string' ? url : url.reveal();
  const pool = new pg.Pool({ connectionString, max: CONNECTIONS, connectionTimeoutMillis: 10_000, application_name: 'sallyport tasks' });
  // A connection that breaks is emitted here, and would end the process.
  pool.on('error', (error) => report({ error }));
  pool.on('connect', (client) => void client.on('error', (error) => report({ error })));
  return pool;
}

async function untilClosed(ended: Promise<void>, pool: pg.Pool): Promise<void> {
  try {
    await ended;
  } finally {
    await pool.end();
  }
}

function tickOf(payload: unknown): number {
  return Date.parse((payload as { readonly _cron: { readonly ts: string } })._cron.ts);
}
