import type { z } from 'zod';
import type { Json } from '../database/canonical-json.js';

/**
 * `pending` → `running` → `succeeded`. An attempt that fails leads to `failed`, which waits for the next one, and the last one to `dead`. `cancelled`
 * is what somebody stopped.
 */
export type TaskState = 'pending' | 'running' | 'succeeded' | 'failed' | 'dead' | 'cancelled';

/** How far a task is. The note is for people, holds no secret and is cut at 200 characters. */
export interface TaskProgress {
  readonly done: number;
  readonly total?: number;
  readonly note?: string;
}

/** What an attempt is given besides its payload. */
export interface AttemptContext {
  readonly id: string;
  readonly namespace: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** Aborted when the task is cancelled, takes too long, or this process stops or lost its lease. Work that goes on all the same keeps its slot. */
  readonly signal: AbortSignal;
  /** Notes how far the work is. May be called as often as wanted: it is written now and then, and the last one always. */
  readonly progress: (progress: TaskProgress) => void;
}

/** A task: what people call it and what it does. */
export interface TaskDefinition<Schema extends z.ZodType> {
  /** Lower-case letters, digits, `_`, `-`, `.` and `:`, at most 100: `database:purge`. */
  readonly name: string;
  /** Checked when a task is enqueued and again before it runs, because another release may have enqueued it. */
  readonly schema: Schema;
  /**
   * Does the work. May be run again after it was done (a process can be killed between the work and the note that it is done), so it has to lead to
   * the same when it is. What it answers, up to 64 KiB of JSON without secrets, is kept as the result.
   */
  readonly run: (context: AttemptContext & { readonly payload: z.output<Schema> }) => Promise<Json | undefined>;
  /** 10 attempts, from 1 s to 10 min apart, when left out. */
  readonly retry?: { readonly attempts?: number; readonly baseMs?: number; readonly maxMs?: number };
  /** Ends an attempt that takes longer; it counts as a failed one. Without it an attempt may take as long as it likes. */
  readonly timeoutMs?: number;
  /** Never twice at once, in whichever process. */
  readonly singleton?: boolean;
}

/** A task whose payload is no longer known to the compiler. Made by {@link defineTask}. */
export interface Task {
  readonly name: string;
  readonly attempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
  readonly timeoutMs: number | undefined;
  readonly singleton: boolean;
  /** What is wrong with a payload; undefined when nothing is. */
  readonly faultOf: (payload: unknown) => string | undefined;
  readonly run: (payload: unknown, context: AttemptContext) => Promise<Json | undefined>;
}

const NAME = /^[a-z][a-z0-9_.:-]{0,99}$/;

/** Makes a task of its definition. Throws when the definition makes no sense. */
export function defineTask<Schema extends z.ZodType>(definition: TaskDefinition<Schema>): Task {
  const { name, schema, run, retry = {}, timeoutMs, singleton = false } = definition;
  const { attempts = 10, baseMs = 1_000, maxMs = 600_000 } = retry;
  if (!NAME.test(name)) throw new Error(`A task cannot be called '${name}'.`);
  if (!Number.isInteger(attempts) || attempts < 1) throw new Error(`The task '${name}' has no attempts.`);
  if (!(baseMs >= 0 && maxMs >= baseMs)) throw new Error(`The pauses of the task '${name}' make no sense.`);
  return {
    ...{ name, attempts, baseMs, maxMs, timeoutMs, singleton },
    faultOf(payload) {
      const { error } = schema.safeParse(payload);
      return error?.issues.map(({ path, message }) => `${path.join('.') || 'payload'}: ${message}`).join('; ');
    },
    run: async (payload, context) => run({ ...context, payload: schema.parse(payload) }),
  };
}

/** The pause before the next attempt: by chance, up to a bound that doubles with each attempt until it reaches `maxMs` («full jitter»). */
export function retryDelayMs(task: Pick<Task, 'baseMs' | 'maxMs'>, attempt: number, random: () => number): number {
  return Math.floor(random() * Math.min(task.maxMs, task.baseMs * 2 ** (attempt - 1)));
}
