import { asSallyportError } from '@sallyport/sdk';
import { pause } from '../database/pause.js';
import { purge } from '../database/purge.js';
import type { Attempts, AttemptsOptions } from './attempts.js';
import type { RunnerLease } from './runner-lease.js';
import { sweepRunners } from './sweep.js';
import type { TaskSource } from './task-source.js';
import { finishedTasks } from './task-store.js';

/** What runs the tasks in this process. */
export interface TaskRunner {
  /**
   * Takes nothing more, waits up to `drainMs` for what runs, then aborts it and waits a little longer. What has not ended by then is run again by
   * another process once the lease has run out. Answers whether all had ended.
   */
  stop(options?: { readonly drainMs?: number }): Promise<boolean>;
}

/** How the tasks are, as far as this process can tell. */
export interface TaskHealth {
  /** Tasks are being taken: there is a lease, and the queue was looked at not long ago or all hands are full. */
  readonly polling: boolean;
  /** The clock is being watched for what is scheduled; `none` when nothing is. */
  readonly cron: 'scheduled' | 'stopped' | 'none';
  /** When the database was last reached, in milliseconds since 1970. */
  readonly lastContactAt: number | undefined;
  readonly running: number;
  /** The code of what went wrong last, until the database is reached again. */
  readonly problem: string | undefined;
}

export interface RunnerOptions extends Omit<AttemptsOptions, 'random'> {
  readonly attempts: Attempts;
  readonly lease: RunnerLease;
  readonly source: TaskSource;
  readonly leaseMs: number;
  readonly concurrency: number;
  readonly pollIntervalMs: number;
  readonly hasCron: boolean;
}

/** A runner that has begun, and how it is. */
export interface StartedRunner extends TaskRunner {
  readonly health: () => TaskHealth;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** How long work that was told to stop has to do so. */
const GRACE_MS = 5_000;
const DEFAULT_DRAIN_MS = 10_000;

/** Starts the runner: rejects when the database cannot be reached or has another schema. After that it goes on by itself whatever happens. */
export async function startRunner(options: RunnerOptions): Promise<StartedRunner> {
  const { attempts, lease, source, database, tickets, leaseMs, concurrency, pollIntervalMs, hasCron, report, now } = options;
  const stopping = new AbortController();
  let lastContactAt: number | undefined;
  let problem: string | undefined;
  let extendAt = 0;
  let sweepAt = 0;

  const stillFresh = (at: number | undefined): boolean => at !== undefined && now() - at <= Math.max(leaseMs, 5 * pollIntervalMs);

  await source.start();
  const loops = Promise.all([beat(), upkeep()]);

  async function beat(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await keepUp();
        lastContactAt = now();
        problem = undefined;
      } catch (error) {
        problem = asSallyportError(error).code;
        report({ error });
      }
      await pause(Math.min(1_000, leaseMs / 5), stopping.signal).catch(() => undefined);
    }
  }

  async function keepUp(): Promise<void> {
    const time = performance.now();
    if (time >= extendAt) {
      if (!(await lease.extend())) await source.resume();
      extendAt = time + leaseMs / 3;
    }
    const owner = lease.id();
    if (owner !== undefined) await attempts.tick(owner);
    if (time >= sweepAt) {
      if ((await sweepRunners(options)) > 0) source.nudge();
      sweepAt = time + leaseMs / 3;
    }
  }

  /** Deletes what has been finished for long enough, and adds the tickets that are missing. Apart from the beat, because it may take long. */
  async function upkeep(): Promise<void> {
    while (!stopping.signal.aborted) {
      let next = HOUR_MS;
      try {
        await tickets.repair(database.db);
        await purge(database, finishedTasks, { before: now(), signal: stopping.signal });
      } catch (error) {
        next = MINUTE_MS;
        if (!stopping.signal.aborted) report({ error });
      }
      await pause(next, stopping.signal).catch(() => undefined);
    }
  }

  async function stop({ drainMs = DEFAULT_DRAIN_MS }: { readonly drainMs?: number } = {}): Promise<boolean> {
    source.stop();
    if (!(await attempts.settled(AbortSignal.timeout(drainMs)))) attempts.interrupt('stopped');
    const settled = await attempts.settled(AbortSignal.timeout(GRACE_MS));
    stopping.abort();
    await loops;
    await source.closed(AbortSignal.timeout(GRACE_MS));
    // What is still at work here must not be begun elsewhere before its lease has run out.
    if (settled) await lease.end().catch((error: unknown) => report({ error }));
    else lease.abandon();
    return settled;
  }

  function health(): TaskHealth {
    const { polledAt, cron } = source.health();
    const taking = !stopping.signal.aborted && lease.id() !== undefined;
    return {
      polling: taking && (stillFresh(polledAt) || attempts.count() >= concurrency),
      cron: hasCron ? (cron && !stopping.signal.aborted ? 'scheduled' : 'stopped') : 'none',
      lastContactAt,
      running: attempts.count(),
      problem,
    };
  }

  return { stop, health };
}
