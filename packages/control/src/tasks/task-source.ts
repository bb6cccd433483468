import type { Attempts, ReportProblem } from './attempts.js';
import type { CronTicks } from './cron-ticks.js';
import type { RunnerLease } from './runner-lease.js';
import type { Task } from './task.js';

/** Where the tasks of a runner come from: the table itself on SQLite, graphile-worker on Postgres. */
export interface TaskSource {
  /** Begins to take tasks, and to fire what is due by the clock. Rejects when it cannot. */
  start(): Promise<void>;
  /** Begins the lease anew, after it was lost. */
  resume(): Promise<void>;
  /** Something may have been enqueued in this process. */
  nudge(): void;
  /** Takes nothing any more. What has been taken goes on. */
  stop(): void;
  /** Waits until nothing more comes of what was taken, or for the signal. */
  closed(signal: AbortSignal): Promise<void>;
  health(): SourceHealth;
}

interface SourceHealth {
  /** When the queue was last looked at, in milliseconds since 1970. */
  readonly polledAt: number | undefined;
  /** The clock is being watched. */
  readonly cron: boolean;
}

/** What every source works with. */
export interface TaskSourceOptions {
  readonly tasks: ReadonlyMap<string, Task>;
  readonly attempts: Attempts;
  readonly lease: RunnerLease;
  readonly ticks: CronTicks;
  readonly report: ReportProblem;
  readonly now: () => number;
  /** How many tasks run at once. */
  readonly concurrency: number;
  /** How often the queue is looked at when nobody says that there is something in it. */
  readonly pollIntervalMs: number;
}
