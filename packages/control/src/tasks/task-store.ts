import { type Kysely, type RawBuilder, type SelectQueryBuilder, sql, type UpdateObject } from 'kysely';
import { columnTypes } from '../database/column-types.js';
import type { PurgeTarget } from '../database/purge.js';
import { type Dialect, type Queryable, type Schema, withTables } from '../database/schema.js';
import { namespaceCondition } from '../namespaces/namespace-condition.js';
import type { NamespaceScope } from '../namespaces/namespace-matcher.js';
import type { TaskState } from './task.js';

export interface TasksTable {
  id: string;
  name: string;
  namespace: string;
  state: TaskState;
  payload: string;
  job_key: string | null;
  waiting_key: string | null;
  running_key: string | null;
  run_at: number | null;
  lease_owner: string | null;
  fence: number;
  attempts: number;
  max_attempts: number;
  progress: string | null;
  error_code: string | null;
  error_detail: string | null;
  result: string | null;
  created_by: string;
  cancel_requested_at: number | null;
  created_at: number;
  updated_at: number;
  started_at: number | null;
  finished_at: number | null;
  purge_after: number | null;
}

interface TaskSchedulesTable {
  name: string;
  last_tick: number;
}

interface TaskRunnersTable {
  id: string;
  engine_pool: string | null;
  started_at: number;
  expires_at: number;
}

interface TaskTables {
  tasks: TasksTable;
  task_runners: TaskRunnersTable;
  task_schedules: TaskSchedulesTable;
}

/** Which tasks a client wants to see. */
export type TaskConditions = {
  readonly state?: TaskState | undefined;
  readonly name?: string | undefined;
};

/** A change of a row. */
export type TaskChange = UpdateObject<Schema & TaskTables, 'tasks'>;

/** Tasks that have been finished for as long as they are kept. */
export const finishedTasks: PurgeTarget = { table: 'tasks', key: ['id'], timeColumn: 'purge_after' };

export async function findTask(db: Queryable, id: string): Promise<TasksTable | undefined> {
  return tables(db).selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
}

/** The tasks in the scope that meet all conditions, in no order yet. */
export function selectTasks(
  db: Queryable,
  scope: NamespaceScope,
  conditions: TaskConditions,
): SelectQueryBuilder<Schema & TaskTables, 'tasks', TasksTable> {
  let query = tables(db).selectFrom('tasks').selectAll().where(namespaceCondition('namespace', scope));
  for (const column of ['state', 'name'] as const) {
    const value = conditions[column];
    if (value !== undefined) query = query.where(column, '=', value);
  }
  return query;
}

/** Adds the task, or gives its payload and time to the one that waits under the same key. Answers the row that is there now. */
export async function insertTask(db: Queryable, row: TasksTable): Promise<TasksTable> {
  return tables(db)
    .insertInto('tasks')
    .values(row)
    .onConflict((conflict) =>
      conflict.columns(['name', 'namespace', 'waiting_key']).doUpdateSet({ payload: row.payload, run_at: row.run_at, updated_at: row.updated_at }),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** The one of these tasks that has been due for longest and may run now. */
export function selectDue(
  db: Queryable,
  names: readonly string[],
  now: number,
): SelectQueryBuilder<Schema & TaskTables, 'tasks', { id: string; name: string }> {
  return (
    tables(db)
      .selectFrom('tasks')
      .select(['id', 'name'])
      .where('run_at', '<=', now)
      // Not by the index on the names, which would have to sort all that wait.
      .where(sql<boolean>`tasks.name || '' in (${sql.join(names)})`)
      .where(isFree())
      .orderBy('run_at')
      .orderBy('id')
      .limit(1)
  );
}

/** Begins an attempt. Nothing changes, and nothing is answered, when the task does not wait, its singleton runs, or the runner holds no lease. */
export async function claimTask(
  db: Queryable,
  task: { readonly id: string; readonly fence?: number; readonly runningKey: string | null },
  owner: string,
  now: number,
): Promise<TasksTable | undefined> {
  let query = tables(db)
    .updateTable('tasks')
    .set((eb) => ({
      ...{ state: 'running', lease_owner: owner, running_key: task.runningKey, waiting_key: null, run_at: null },
      ...{ started_at: now, updated_at: now, attempts: eb('attempts', '+', 1), fence: eb('fence', '+', 1) },
    }))
    .where('id', '=', task.id)
    .where('run_at', 'is not', null)
    .where(isFree())
    .where((eb) => eb.exists(eb.selectFrom('task_runners').select('task_runners.id').where('task_runners.id', '=', owner)));
  if (task.fence !== undefined) query = query.where('fence', '=', task.fence);
  return query.returningAll().executeTakeFirst();
}

/**
 * Changes a task that is as it was read: in the same attempt, and running or waiting as it was. With `unlessCancelled` only if nobody has asked for
 * its end. False when nothing was changed.
 */
export async function updateTask(
  db: Queryable,
  read: Pick<TasksTable, 'id' | 'fence' | 'state'>,
  change: TaskChange,
  { unlessCancelled = false } = {},
): Promise<boolean> {
  const query = tables(db).updateTable('tasks').set(change).where('id', '=', read.id).where('fence', '=', read.fence).where('state', '=', read.state);
  const { numUpdatedRows } = await (unlessCancelled ? query.where('cancel_requested_at', 'is', null) : query).executeTakeFirstOrThrow();
  return numUpdatedRows === 1n;
}

/** Which of the tasks that this runner runs somebody wants to stop. */
export async function cancelRequested(db: Queryable, owner: string): Promise<readonly string[]> {
  const query = tables(db).selectFrom('tasks').select('id').where('lease_owner', '=', owner).where('cancel_requested_at', 'is not', null);
  return (await query.execute()).map(({ id }) => id);
}

/** Tasks whose runner is gone. */
export function selectOrphans(db: Queryable): SelectQueryBuilder<Schema & TaskTables, 'tasks', TasksTable> {
  return (
    tables(db)
      .selectFrom('tasks')
      .selectAll()
      // All that are there. SQLite takes no index to find what is merely not null.
      .where('lease_owner', '>', '')
      .where((eb) => eb.not(eb.exists(eb.selectFrom('task_runners').select('task_runners.id').whereRef('task_runners.id', '=', 'tasks.lease_owner'))))
      .limit(100)
  );
}

/** Begins the lease of a runner, by the clock of the database. */
export async function insertRunner(
  db: Queryable,
  dialect: Dialect,
  runner: { id: string; enginePool: string | null; leaseMs: number },
): Promise<void> {
  const now = databaseTime(dialect);
  const values = { id: runner.id, engine_pool: runner.enginePool, started_at: now, expires_at: sql<number>`${now} + ${runner.leaseMs}` };
  await tables(db).insertInto('task_runners').values(values).execute();
}

/** Notes what the engine calls the process of a runner now. */
export async function moveRunner(db: Queryable, id: string, enginePool: string | null): Promise<void> {
  await tables(db).updateTable('task_runners').set({ engine_pool: enginePool }).where('id', '=', id).execute();
}

/** Puts the end of the lease off. False when somebody has ended it. */
export async function extendRunner(db: Queryable, dialect: Dialect, id: string, leaseMs: number): Promise<boolean> {
  const { numUpdatedRows } = await tables(db)
    .updateTable('task_runners')
    .set({ expires_at: sql<number>`${databaseTime(dialect)} + ${leaseMs}` })
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 1n;
}

/** Ends the lease of a runner that has nothing left to do. */
export async function deleteRunner(db: Queryable, id: string): Promise<void> {
  await tables(db).deleteFrom('task_runners').where('id', '=', id).execute();
}

/** Runners that have not been heard of in time. */
export function selectExpiredRunners(db: Queryable, dialect: Dialect): SelectQueryBuilder<Schema & TaskTables, 'task_runners', { id: string }> {
  return tables(db).selectFrom('task_runners').select('id').where('expires_at', '<=', databaseTime(dialect));
}

/** Ends the leases that have run out, and answers the engine's names of those runners. */
export async function deleteExpiredRunners(db: Queryable, dialect: Dialect): Promise<readonly string[]> {
  const rows = await tables(db).deleteFrom('task_runners').where('expires_at', '<=', databaseTime(dialect)).returning('engine_pool').execute();
  return rows.flatMap(({ engine_pool: pool }) => pool ?? []);
}

/** Notes that a schedule is known from now on: what was due before is none of its business. False when it was known before. */
export async function insertSchedule(db: Queryable, name: string, tick: number): Promise<boolean> {
  const query = tables(db).insertInto('task_schedules').values({ name, last_tick: tick });
  const rows = await query
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returning('name')
    .execute();
  return rows.length === 1;
}

/** Notes the tick. False when it, or a later one, has been noted before. */
export async function advanceSchedule(db: Queryable, name: string, tick: number): Promise<boolean> {
  const rows = await tables(db)
    .insertInto('task_schedules')
    .values({ name, last_tick: tick })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ last_tick: tick }).where('task_schedules.last_tick', '<', tick))
    .returning('name')
    .execute();
  return rows.length === 1;
}

/** No other task under the same key is running. Tasks that may run side by side have no such key. */
function isFree(): RawBuilder<boolean> {
  return sql<boolean>`not exists (select 1 from tasks as other where other.running_key = tasks.name)`;
}

function databaseTime(dialect: Dialect): RawBuilder<number> {
  return sql<number>`(${sql.raw(columnTypes(dialect).now)})`;
}

function tables(db: Queryable): Kysely<Schema & TaskTables> {
  return withTables<TaskTables>(db);
}
