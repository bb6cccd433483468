import type { Migration } from '../migration.js';

/**
 * `run_at` is there while a task waits and `lease_owner` while it runs. `waiting_key` is the job key of a task that has not begun, `running_key` the
 * name of a task that may run once at a time: both indexes are what keeps a second one out. `purge_after` is there once a task is finished.
 */
export const tasks: Migration = {
  number: 300,
  name: 'tasks',
  statements: ({ text, integer, tableEnd }) => [
    `create table tasks (
      id ${text} primary key,
      name ${text} not null,
      namespace ${text} not null,
      state ${text} not null check (state in ('pending', 'running', 'succeeded', 'failed', 'dead', 'cancelled')),
      payload ${text} not null,
      job_key ${text},
      waiting_key ${text},
      running_key ${text},
      run_at ${integer},
      lease_owner ${text},
      fence ${integer} not null,
      attempts ${integer} not null,
      max_attempts ${integer} not null,
      progress ${text},
      error_code ${text},
      error_detail ${text},
      result ${text},
      created_by ${text} not null,
      cancel_requested_at ${integer},
      created_at ${integer} not null,
      updated_at ${integer} not null,
      started_at ${integer},
      finished_at ${integer},
      purge_after ${integer},
      check ((run_at is not null) = (state in ('pending', 'failed'))),
      check ((lease_owner is not null) = (state = 'running'))
    )${tableEnd}`,
    'create unique index tasks_waiting_key on tasks (name, namespace, waiting_key)',
    'create unique index tasks_running_key on tasks (running_key)',
    'create index tasks_due on tasks (run_at, id)',
    'create index tasks_lease on tasks (lease_owner)',
    'create index tasks_purge on tasks (purge_after)',
    'create index tasks_created on tasks (created_at, id)',
    'create index tasks_state on tasks (state, created_at, id)',
    'create index tasks_name on tasks (name, created_at, id)',
    'create index tasks_namespace on tasks (namespace, created_at, id)',
    `create table task_runners (
      id ${text} primary key,
      engine_pool ${text},
      started_at ${integer} not null,
      expires_at ${integer} not null
    )${tableEnd}`,
    `create table task_schedules (
      name ${text} primary key,
      last_tick ${integer} not null
    )${tableEnd}`,
  ],
};
