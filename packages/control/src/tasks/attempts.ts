import { SallyportError } from '@sallyport/sdk';
import type { Json } from '../database/canonical-json.js';
import type { Database } from '../database/open-database.js';
import { pause } from '../database/pause.js';
import { retryDelayMs, type Task, type TaskProgress } from './task.js';
import { cancelRequested, type TaskChange, type TasksTable, updateTask } from './task-store.js';
import type { Tickets } from './tickets.js';

/** How a runner hears of what it can do nothing about. The error itself may hold what no log may hold; its code does not. */
export type ReportProblem = (problem: { readonly taskId?: string; readonly taskName?: string; readonly error: unknown }) => void;

export interface AttemptsOptions {
  readonly database: Database;
  readonly tasks: ReadonlyMap<string, Task>;
  readonly tickets: Tickets;
  readonly report: ReportProblem;
  readonly now: () => number;
  readonly random: () => number;
  /** How long tasks are kept once they are finished. */
  readonly retentionMs: number;
  readonly deadRetentionMs: number;
}

/** The attempts that this runner has under way. */
export interface Attempts {
  /** Runs a task that this runner has claimed, and writes down what became of it. Does not reject. */
  run(row: TasksTable): Promise<void>;
  count(): number;
  /** Writes down the progress made since the last time, and ends what somebody has cancelled. */
  tick(owner: string): Promise<void>;
  cancel(id: string): void;
  /** Ends all attempts. `lost`: other runners have them, and nothing of these may be written any more. */
  interrupt(how: 'lost' | 'stopped'): void;
  /** Waits until no attempt is left, or for the signal. True when none is left. */
  settled(signal: AbortSignal): Promise<boolean>;
}

type Reason = 'timeout' | 'cancelled' | 'stopped' | 'lost';

interface Attempt {
  readonly row: TasksTable;
  readonly controller: AbortController;
  reason: Reason | undefined;
  /** The last that was made, and the last that was written down. */
  progress: string | undefined;
  noted: string | undefined;
  ended: Promise<void>;
}

type Outcome = { readonly result: Json | undefined } | { readonly error: unknown };

const MAXIMUM_BYTES = 65_536;
const NOTE_LENGTH = 200;
const DETAIL_LENGTH = 1_000;
const codes = { timeout: 'task_timed_out', cancelled: 'task_cancelled', stopped: 'task_interrupted', lost: 'task_interrupted' } as const;

/** The JSON of a payload or result, or undefined when it is none or has more than 64 KiB. */
export function boundedJson(value: unknown): string | undefined {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined || Buffer.byteLength(text) > MAXIMUM_BYTES ? undefined : text;
}

/** What becomes of a task whose attempt has failed: another attempt after this pause, or none any more. */
export function afterFailure(row: TasksTable, error: SallyportError, now: number, delayMs: number, deadRetentionMs: number): TaskChange {
  const failure = {
    error_code: error.code,
    error_detail: error.message.slice(0, DETAIL_LENGTH),
    lease_owner: null,
    running_key: null,
    updated_at: now,
  };
  if (row.attempts < row.max_attempts) return { ...failure, state: 'failed', run_at: now + delayMs };
  return { ...failure, state: 'dead', finished_at: now, purge_after: now + deadRetentionMs };
}

export function createAttempts(options: AttemptsOptions): Attempts {
  const { database, tasks, tickets, report, now, random, retentionMs, deadRetentionMs } = options;
  const attempts = new Map<string, Attempt>();

  async function run(row: TasksTable): Promise<void> {
    const attempt: Attempt = {
      row,
      controller: new AbortController(),
      reason: undefined,
      progress: undefined,
      noted: undefined,
      ended: Promise.resolve(),
    };
    // The same task may still be ending here when this runner lost its lease and claimed it again.
    const key = `${row.id} ${row.fence}`;
    attempts.set(key, attempt);
    attempt.ended = work(attempt).finally(() => attempts.delete(key));
    await attempt.ended;
  }

  async function work(attempt: Attempt): Promise<void> {
    const { row } = attempt;
    const outcome = await outcomeOf(attempt);
    if ('error' in outcome && attempt.reason === undefined) report({ taskId: row.id, taskName: row.name, error: outcome.error });
    await write(attempt, outcome);
  }

  async function outcomeOf(attempt: Attempt): Promise<Outcome> {
    const { row, controller } = attempt;
    const task = tasks.get(row.name);
    if (task === undefined) return { error: new SallyportError('task_unknown') };
    const timer = task.timeoutMs === undefined ? undefined : setTimeout(() => end(attempt, 'timeout'), task.timeoutMs);
    try {
      const payload: unknown = JSON.parse(row.payload);
      const fault = task.faultOf(payload);
      if (fault !== undefined) return { error: new SallyportError('task_payload_invalid', { detail: fault }) };
      const { id, namespace, attempts: number } = row;
      const progress = (made: TaskProgress): void => {
        attempt.progress = JSON.stringify({ done: made.done, total: made.total, note: made.note?.slice(0, NOTE_LENGTH) });
      };
      const result = await task.run(payload, { id, namespace, attempt: number, signal: controller.signal, progress });
      return { result: result ?? undefined };
    } catch (error) {
      return { error };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Tries until it is written, somebody else has the task, or there is no time left: then the lease runs out and the task is run again. */
  async function write(attempt: Attempt, outcome: Outcome): Promise<void> {
    for (let tries = 1; attempt.reason !== 'lost'; tries += 1) {
      try {
        await writeOnce(attempt, outcome);
        return;
      } catch (error) {
        report({ taskId: attempt.row.id, taskName: attempt.row.name, error });
        if (attempt.reason === 'stopped' && tries >= 3) return;
      }
      await pause(Math.min(100 * 2 ** tries, 10_000), undefined);
    }
  }

  async function writeOnce(attempt: Attempt, outcome: Outcome): Promise<void> {
    const { row, progress, reason } = attempt;
    const last = progress === undefined ? {} : { progress };
    const change = changeFor(row, outcome, reason);
    await database.transaction(
      async (trx) => {
        if (typeof change.run_at !== 'number') {
          await updateTask(trx, row, { ...change, ...last });
        } else if (await updateTask(trx, row, { ...change, ...last }, { unlessCancelled: true })) {
          await tickets.add(trx, { ...row, runAt: change.run_at, singleton: row.running_key !== null });
        } else {
          // Somebody asked for its end at the last moment. Or it is no longer ours, and nothing is changed.
          await updateTask(trx, row, { ...changeFor(row, outcome, 'cancelled'), ...last });
        }
      },
      // The update names the attempt that it belongs to, so there is nothing it could have overlooked.
      { isolation: 'read committed' },
    );
  }

  function changeFor(row: TasksTable, outcome: Outcome, reason: Reason | undefined): TaskChange {
    const time = now();
    const released = { lease_owner: null, running_key: null, updated_at: time };
    const finished = { ...released, finished_at: time, purge_after: time + retentionMs };
    if ('result' in outcome) {
      // Work that is done is not done again because of what it answered.
      return { ...finished, state: 'succeeded', error_code: null, error_detail: null, result: boundedJson(outcome.result) ?? null };
    }
    if (reason === 'cancelled') return { ...finished, state: 'cancelled' };
    // An attempt that ended because this process does is none.
    if (reason === 'stopped') return { ...released, state: 'pending', run_at: time, attempts: row.attempts - 1 };
    const error = asTaskError(outcome.error, reason);
    // What is wrong with a payload is wrong with it the next time.
    const last = error.code === 'task_payload_invalid' ? { ...row, max_attempts: row.attempts } : row;
    const task = tasks.get(row.name);
    return afterFailure(last, error, time, task === undefined ? 0 : retryDelayMs(task, row.attempts, random), deadRetentionMs);
  }

  async function tick(owner: string): Promise<void> {
    for (const attempt of attempts.values()) {
      const { progress, row } = attempt;
      if (progress === undefined || progress === attempt.noted) continue;
      // Comes too late when the outcome is written meanwhile, which brings the last progress with it.
      await updateTask(database.db, row, { progress, updated_at: now() });
      attempt.noted = progress;
    }
    if (attempts.size === 0) return;
    for (const id of await cancelRequested(database.db, owner)) cancel(id);
  }

  function cancel(id: string): void {
    for (const attempt of attempts.values()) if (attempt.row.id === id) end(attempt, 'cancelled');
  }

  function interrupt(how: 'lost' | 'stopped'): void {
    for (const attempt of attempts.values()) end(attempt, how);
  }

  async function settled(signal: AbortSignal): Promise<boolean> {
    while (attempts.size > 0 && !signal.aborted) {
      await Promise.race([Promise.all([...attempts.values()].map(({ ended }) => ended)), aborted(signal)]);
    }
    return attempts.size === 0;
  }

  return { run, count: () => attempts.size, tick, cancel, interrupt, settled };
}

/** The first reason stays, but for a lost lease: after it nothing may be written. */
function end(attempt: Attempt, reason: Reason): void {
  if (attempt.reason === undefined || reason === 'lost') attempt.reason = reason;
  attempt.controller.abort(new SallyportError(codes[reason]));
}

/** Only errors of ours are known to hold no secret: of others nothing but the kind is kept. */
function asTaskError(error: unknown, reason: Reason | undefined): SallyportError {
  if (reason === 'timeout') return new SallyportError('task_timed_out');
  if (error instanceof SallyportError) return error;
  return new SallyportError('internal_error', { detail: error instanceof Error ? error.name : 'Not an error was thrown.' });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
