import { SallyportError, type Secret } from '@sallyport/sdk';
import type { Transaction } from 'kysely';
import { type AuditTrail, type ChangeContext, SYSTEM_ACTOR } from '../audit/audit-trail.js';
import type { Json } from '../database/canonical-json.js';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import { type ListDefinition, type Page, type PageRequest, planPage, readPage } from '../database/paging.js';
import type { Queryable, Schema } from '../database/schema.js';
import type { Sealer } from '../database/sealer.js';
import { type NamespaceScope, narrowScope } from '../namespaces/namespace-matcher.js';
import { ROOT, requireNamespacePath } from '../namespaces/namespace-path.js';
import { type Attempts, boundedJson, createAttempts, type ReportProblem } from './attempts.js';
import { type CronEntry, createCronTicks } from './cron-ticks.js';
import { createEngineSource } from './engine-source.js';
import { type StartedRunner, startRunner, type TaskHealth, type TaskRunner } from './runner.js';
import { createRunnerLease } from './runner-lease.js';
import { createTableSource } from './table-source.js';
import type { Task, TaskProgress, TaskState } from './task.js';
import type { TaskSource, TaskSourceOptions } from './task-source.js';
import { findTask, insertTask, selectTasks, type TaskChange, type TaskConditions, type TasksTable, updateTask } from './task-store.js';
import { ticketsFor } from './tickets.js';

/** A task as people see it. Times in milliseconds since 1970. */
export interface TaskRecord {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly state: TaskState;
  readonly payload: Json;
  readonly jobKey: string | undefined;
  /** How many attempts have begun since it was enqueued or put back. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly progress: TaskProgress | undefined;
  /** Why the last attempt failed; of errors that are not ours only the kind, because they may hold secrets. */
  readonly error: { readonly code: string; readonly detail: string } | undefined;
  readonly result: Json | undefined;
  readonly createdBy: string;
  /** When it runs next; there while it waits. */
  readonly runAt: number | undefined;
  /** Somebody has asked for its end; the attempt that runs may still take its time. */
  readonly cancelRequestedAt: number | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
}

/** Which tasks a client wants to see. `namespace` is a matcher. */
export type TaskFilter = TaskConditions & { readonly namespace?: string | undefined };

interface EnqueueOptions {
  /** The system when left out. */
  readonly who?: ChangeContext;
  /** Where it is seen; `root` when left out. */
  readonly namespace?: string;
  /** Not before this time. At once when left out. */
  readonly runAt?: number;
  /** While a task of this name waits under the same key and has not begun, it gets this payload and time, and no second one is made. */
  readonly jobKey?: string;
}

/** The tasks: what is done later, elsewhere, again when it fails, and where people can watch. */
export interface Tasks {
  /**
   * Puts a task into the queue, in the transaction that is given: it is there when that is committed, and never otherwise. The payload is kept in
   * plain text where people see it, so it may hold no secret: pass the id of what holds it. Rejects with `task_unknown` or `task_payload_invalid`.
   */
  enqueue(db: Queryable, name: string, payload: Json, options?: EnqueueOptions): Promise<TaskRecord>;
  /** Rejects with `task_not_found`. */
  get(id: string): Promise<TaskRecord>;
  /** The newest first. `visible` is what the caller may see: what it does not contain does not exist for the caller. */
  list(request: PageRequest<TaskFilter>, visible: NamespaceScope): Promise<Page<TaskRecord>>;
  /** Ends a task: at once when it waits, else its signal is aborted, wherever it runs. Rejects with `task_state_conflict` when it is finished. */
  cancel(id: string, who: ChangeContext): Promise<TaskRecord>;
  /** Puts a task back that is dead or cancelled, with all its attempts; one that waits is run now. Rejects with `task_state_conflict` otherwise. */
  retry(id: string, who: ChangeContext): Promise<TaskRecord>;
  /** Begins to run tasks in this process. Rejects when it cannot; later it goes on whatever happens. */
  start(options?: StartOptions): Promise<TaskRunner>;
  /** How the runner of this process is. */
  health(): TaskHealth;
}

export interface TasksOptions {
  readonly database: Database;
  readonly audit: AuditTrail;
  readonly sealer: Sealer;
  readonly tasks: readonly Task[];
  readonly cron?: readonly CronEntry[];
  /** Finished tasks are deleted for good after this time: seven days when left out. */
  readonly retentionMs?: number;
  /** The same for dead ones: 30 days when left out. */
  readonly deadRetentionMs?: number;
  /** Hears of failures: those of tasks, and those of the runner itself. */
  readonly onProblem?: ReportProblem;
  readonly now?: () => number;
  readonly random?: () => number;
}

export interface StartOptions {
  /** On Postgres: where graphile-worker connects, which needs connections of its own. */
  readonly postgresUrl?: string | Secret;
  /** How many tasks run at once in this process: 4 when left out, 64 at most. */
  readonly concurrency?: number;
  /** How often the queue is looked at when nobody says that there is something in it. 1 s when left out. */
  readonly pollIntervalMs?: number;
  /** How long this process can be out of touch before others run its tasks. 30 s when left out. */
  readonly leaseMs?: number;
}

const DAY_MS = 86_400_000;
const stopped: TaskHealth = { polling: false, cron: 'none', lastContactAt: undefined, running: 0, problem: undefined };

/** The list of tasks. */
export const taskList: ListDefinition = { name: 'tasks', orders: { created_at: ['created_at', 'id'] }, defaultOrder: 'created_at DESC' };

/** The tasks in this database. Throws when two have the same name, or a schedule makes no sense (`task_schedule_invalid`). */
export function createTasks(options: TasksOptions): Tasks {
  const { database, audit, sealer, cron = [], onProblem = () => undefined, now = Date.now, random = Math.random } = options;
  const { retentionMs = 7 * DAY_MS, deadRetentionMs = 30 * DAY_MS } = options;
  const tasks = new Map(options.tasks.map((task) => [task.name, task]));
  if (tasks.size !== options.tasks.length) throw new Error('Two tasks have the same name.');
  const tickets = ticketsFor(database.dialect);
  const ticks = createCronTicks({ database, entries: cron, enqueue: enqueueTick, now });
  for (const { task, payload } of ticks.jobs) checkPayload(task, payload);
  let attempts: Attempts | undefined;
  let source: TaskSource | undefined;
  let runner: StartedRunner | undefined;

  function checkPayload(name: string, payload: Json): { readonly task: Task; readonly text: string } {
    const task = tasks.get(name);
    if (task === undefined) throw new SallyportError('task_unknown', { detail: `There is no task '${name}'.` });
    const detail = task.faultOf(payload);
    if (detail !== undefined) throw new SallyportError('task_payload_invalid', { detail });
    const text = boundedJson(payload);
    if (text === undefined) throw new SallyportError('task_payload_invalid', { detail: 'The payload has more than 64 KiB.' });
    return { task, text };
  }

  async function enqueue(db: Queryable, name: string, payload: Json, given: EnqueueOptions = {}): Promise<TaskRecord> {
    const { task, text } = checkPayload(name, payload);
    const row = newRow(task, text, given);
    const stored = db.isTransaction
      ? await store(db, row, task, given.runAt)
      : await database.transaction((trx) => store(trx, row, task, given.runAt));
    source?.nudge();
    return asRecord(stored);
  }

  async function store(trx: Queryable, row: TasksTable, { name, singleton }: Task, runAt: number | undefined): Promise<TasksTable> {
    const stored = await insertTask(trx, row);
    await tickets.add(trx, { id: stored.id, name, fence: stored.fence, runAt, singleton });
    return stored;
  }

  async function enqueueTick(trx: Transaction<Schema>, { name, task, payload }: { name: string; task: string; payload: Json }): Promise<void> {
    await enqueue(trx, task, payload, { jobKey: name });
  }

  function newRow(task: Task, payload: string, { who, namespace = ROOT, runAt, jobKey }: EnqueueOptions): TasksTable {
    const time = now();
    return {
      ...{ id: newId('tsk'), name: task.name, namespace: requireNamespacePath(namespace), state: 'pending', payload, run_at: runAt ?? time },
      ...{ job_key: jobKey ?? null, waiting_key: jobKey ?? null, running_key: null, lease_owner: null, fence: 0, attempts: 0 },
      ...{ max_attempts: task.attempts, progress: null, error_code: null, error_detail: null, result: null, cancel_requested_at: null },
      ...{ created_by: who?.actorId ?? SYSTEM_ACTOR, created_at: time, updated_at: time, started_at: null, finished_at: null, purge_after: null },
    };
  }

  async function get(id: string): Promise<TaskRecord> {
    return asRecord(await requireTask(database.db, id));
  }

  async function list(request: PageRequest<TaskFilter>, visible: NamespaceScope): Promise<Page<TaskRecord>> {
    const plan = planPage(taskList, request, sealer);
    const { namespace, ...conditions } = plan.filter;
    const scope = narrowScope(visible, namespace);
    const page = await readPage(selectTasks(database.db, scope, conditions), taskList, plan, sealer);
    return { ...page, items: page.items.map(asRecord) };
  }

  async function cancel(id: string, who: ChangeContext): Promise<TaskRecord> {
    const record = await change(id, who, 'cancel', async (trx, row) => {
      const time = now();
      if (row.state === 'cancelled' || row.cancel_requested_at !== null) return undefined;
      if (row.state === 'running') return { cancel_requested_at: time, updated_at: time };
      if (row.run_at === null) throw new SallyportError('task_state_conflict', { detail: `The task is ${row.state}.` });
      await tickets.remove(trx, id);
      const finished = { run_at: null, waiting_key: null, updated_at: time, finished_at: time, purge_after: time + retentionMs };
      return { ...finished, state: 'cancelled', cancel_requested_at: time };
    });
    attempts?.cancel(id);
    return record;
  }

  async function retry(id: string, who: ChangeContext): Promise<TaskRecord> {
    const record = await change(id, who, 'retry', async (trx, row) => {
      const time = now();
      const waits = row.run_at !== null;
      if (!waits && row.state !== 'dead' && row.state !== 'cancelled') {
        throw new SallyportError('task_state_conflict', { detail: `The task is ${row.state}.` });
      }
      await tickets.add(trx, { ...row, singleton: tasks.get(row.name)?.singleton === true });
      if (waits) return { run_at: time, updated_at: time };
      return { state: 'pending', run_at: time, attempts: 0, cancel_requested_at: null, finished_at: null, purge_after: null, updated_at: time };
    });
    source?.nudge();
    return record;
  }

  /** Changes a task as it is read in the same transaction. Nothing is to be done when there is no change. */
  async function change(
    id: string,
    who: ChangeContext,
    verb: 'cancel' | 'retry',
    decide: (trx: Transaction<Schema>, row: TasksTable) => Promise<TaskChange | undefined>,
  ): Promise<TaskRecord> {
    return database.transaction(async (trx) => {
      const row = await requireTask(trx, id);
      const changed = await decide(trx, row);
      if (changed === undefined) return asRecord(row);
      await updateTask(trx, row, changed);
      const after = await requireTask(trx, id);
      const resource = { resourceType: 'tasks', resourceId: id, namespace: row.namespace };
      await audit.record(trx, who, { action: `tasks.${verb}`, ...resource, before: stateOf(row), after: stateOf(after) });
      return asRecord(after);
    });
  }

  async function start(given: StartOptions = {}): Promise<TaskRunner> {
    if (runner !== undefined) throw new Error('The tasks are being run already.');
    const { concurrency = 4, pollIntervalMs = 1_000, leaseMs = 30_000 } = given;
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 64) throw new Error('1 to 64 tasks can run at once.');
    const report = onProblem;
    const shared = { database, tasks, tickets, report, now, retentionMs, deadRetentionMs };
    const mine = createAttempts({ ...shared, random });
    const lease = createRunnerLease({ database, tickets, leaseMs, onLost: () => mine.interrupt('lost') });
    const sourceOptions = { tasks, attempts: mine, lease, ticks, report, now, concurrency, pollIntervalMs };
    const from = sourceFor(sourceOptions, given.postgresUrl);
    const hasCron = cron.length > 0;
    const started = await startRunner({ ...shared, attempts: mine, lease, source: from, leaseMs, concurrency, pollIntervalMs, hasCron });
    [attempts, source, runner] = [mine, from, started];
    const stop: TaskRunner['stop'] = async (how) => {
      const settled = await started.stop(how);
      if (runner === started) [attempts, source, runner] = [undefined, undefined, undefined];
      return settled;
    };
    return { stop };
  }

  function sourceFor(shared: TaskSourceOptions, url: string | Secret | undefined): TaskSource {
    if (database.dialect === 'sqlite') return createTableSource({ ...shared, database });
    if (url === undefined) throw new Error('On Postgres the runner has to know where graphile-worker connects.');
    return createEngineSource({ ...shared, database, tickets, url });
  }

  return { enqueue, get, list, cancel, retry, start, health: () => runner?.health() ?? stopped };
}

async function requireTask(db: Queryable, id: string): Promise<TasksTable> {
  const row = await findTask(db, id);
  if (row === undefined) throw new SallyportError('task_not_found');
  return row;
}

function stateOf(row: TasksTable): { readonly state: TaskState; readonly cancel_requested: boolean } {
  return { state: row.state, cancel_requested: row.cancel_requested_at !== null };
}

function asRecord(row: TasksTable): TaskRecord {
  return {
    ...{ id: row.id, name: row.name, namespace: row.namespace, state: row.state, payload: JSON.parse(row.payload) as Json },
    ...{ jobKey: row.job_key ?? undefined, attempts: row.attempts, maxAttempts: row.max_attempts, createdBy: row.created_by },
    progress: row.progress === null ? undefined : (JSON.parse(row.progress) as TaskProgress),
    error: row.error_code === null ? undefined : { code: row.error_code, detail: row.error_detail ?? '' },
    result: row.result === null ? undefined : (JSON.parse(row.result) as Json),
    ...{ runAt: row.run_at ?? undefined, cancelRequestedAt: row.cancel_requested_at ?? undefined },
    ...{ createdAt: row.created_at, updatedAt: row.updated_at, startedAt: row.started_at ?? undefined, finishedAt: row.finished_at ?? undefined },
  };
}
