import { z } from 'zod';
import { type AuditTrail, createAuditTrail } from '../audit/audit-trail.js';
import { migrate } from '../database/migrate.js';
import type { Database, DatabaseOptions } from '../database/open-database.js';
import { defineTask, type Task } from './task.js';
import { migrateTaskEngine } from './task-engine.js';
import { createTasks, type StartOptions, type TaskRecord, type Tasks, type TasksOptions } from './tasks.js';

export const who = { actorId: 'act_test', requestId: 'req_test' };

/** Looks again until it is so. Fails by the time limit of the test. */
export async function until<Result>(look: () => Result | undefined | false | Promise<Result | undefined | false>): Promise<Result> {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A promise, and what ends it. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** A task with any payload and short pauses. */
export function taskOf(name: string, run: Parameters<typeof defineTask<z.ZodAny>>[0]['run'], more: Partial<Omit<Task, 'name' | 'run'>> = {}): Task {
  const { attempts = 3, baseMs = 1, maxMs = 5, timeoutMs, singleton = false } = more;
  const rest = timeoutMs === undefined ? {} : { timeoutMs };
  return defineTask({ name, schema: z.any(), run, retry: { attempts, baseMs, maxMs }, singleton, ...rest });
}

/** Both schemas. */
export async function migrateAll(database: Database): Promise<void> {
  await migrate(database);
  await migrateTaskEngine(database);
}

export interface Stage {
  readonly database: Database;
  readonly audit: AuditTrail;
  readonly tasks: Tasks;
  /** What went wrong, in the order it did. */
  readonly problems: unknown[];
  readonly startOptions: StartOptions;
  /** The task, as soon as it is in this state. */
  reached(id: string, state: TaskRecord['state']): Promise<TaskRecord>;
}

/** The tasks of one process on a database that has been migrated. */
export function stageOn(
  database: Database,
  options: DatabaseOptions,
  given: Omit<TasksOptions, 'database' | 'audit' | 'sealer'>,
  sealer: TasksOptions['sealer'],
): Stage {
  const problems: unknown[] = [];
  const audit = createAuditTrail({ database, sealer });
  const tasks = createTasks({ ...given, database, audit, sealer, onProblem: ({ error }) => void problems.push(error) });
  const url = options.provider === 'postgres' ? { postgresUrl: options.url } : {};
  return {
    ...{ database, audit, tasks, problems },
    startOptions: { ...url, concurrency: 4, pollIntervalMs: 50, leaseMs: 20_000 },
    reached: (id, state) =>
      until(async () => {
        const record = await tasks.get(id);
        return record.state === state && record;
      }),
  };
}
