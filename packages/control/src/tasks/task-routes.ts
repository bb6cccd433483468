import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { wholeNamespaces } from '../permissions/list-scope.js';
import type { Caller } from '../server/caller.js';
import { listOf, listQuery, pageAnswer, pageRequest, timeSchema, timeText } from '../server/list-schemas.js';
import { type Operation, operation, type ServiceName } from '../server/operation.js';
import type { TaskRecord, Tasks } from './tasks.js';

/** What the operations on tasks work with. */
export interface TaskRoutes {
  readonly tasks: Pick<Tasks, 'get' | 'list' | 'cancel' | 'retry'>;
}

const services: readonly ServiceName[] = ['api', 'admin-api'];
const resource = 'tasks';
const id = z.object({ id: z.string().max(128) });
const states = ['pending', 'running', 'succeeded', 'failed', 'dead', 'cancelled'] as const;

const taskSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    namespace: z.string(),
    state: z.enum(states).describe('`failed` waits for its next attempt; `dead` has none left.'),
    payload: z.unknown().describe('What it was given; it holds no secrets.'),
    attempts: z.int(),
    max_attempts: z.int(),
    progress: z.object({ done: z.number(), total: z.number().optional(), note: z.string().optional() }).optional(),
    error: z.object({ code: z.string(), detail: z.string() }).optional().describe('Why the last attempt failed.'),
    result: z.unknown().optional(),
    created_by: z.string(),
    cancelling: z.boolean().describe('Somebody has asked for its end, and the attempt has not ended yet.'),
    run_at: timeSchema.optional().describe('When it runs next.'),
    created_at: timeSchema,
    updated_at: timeSchema,
    started_at: timeSchema.optional(),
    finished_at: timeSchema.optional(),
  })
  .meta({ id: 'Task', description: 'Something that is done in the background.' });

/** A task as the API shows it. */
function shownTask(task: TaskRecord): z.input<typeof taskSchema> {
  const { jobKey: _, maxAttempts, createdBy, cancelRequestedAt, runAt, createdAt, updatedAt, startedAt, finishedAt, ...same } = task;
  const { progress, error, result, ...rest } = same;
  return {
    ...rest,
    ...(progress === undefined ? {} : { progress }),
    ...(error === undefined ? {} : { error }),
    ...(result === undefined ? {} : { result }),
    ...{ max_attempts: maxAttempts, created_by: createdBy, created_at: timeText(createdAt), updated_at: timeText(updatedAt) },
    cancelling: cancelRequestedAt !== undefined && finishedAt === undefined,
    ...(runAt === undefined ? {} : { run_at: timeText(runAt) }),
    ...(startedAt === undefined ? {} : { started_at: timeText(startedAt) }),
    ...(finishedAt === undefined ? {} : { finished_at: timeText(finishedAt) }),
  };
}

/** `/tasks` and what is below it. */
export function taskOperations({ tasks }: TaskRoutes): readonly Operation[] {
  const common = { services, tag: resource } as const;

  /** The task, if the caller may do this with it; `task_not_found` when it may not even see it. */
  async function permitted(taskId: string, verb: 'get' | 'manage', { by }: Caller): Promise<TaskRecord> {
    const task = await tasks.get(taskId);
    const asked = { namespace: task.namespace, resource, resource_id: task.id };
    if (by.authority.permits({ ...asked, verb })) return task;
    if (!by.authority.permits({ ...asked, verb: 'get' })) throw new SallyportError('task_not_found');
    by.authority.require({ ...asked, verb });
    return task;
  }

  const one = { ...common, params: id, status: 200, result: taskSchema } as const;
  return [
    operation({
      ...common,
      name: 'listTasks',
      method: 'GET',
      path: '/tasks',
      summary: 'What is done in the background, the newest first',
      access: { resource, verb: 'list' },
      query: listQuery({
        namespace: z.string().max(1024).optional().describe('A path, or `path.**` with everything below it.'),
        name: z.string().max(128).optional(),
        state: z.enum(states).optional(),
      }),
      status: 200,
      result: listOf(taskSchema),
      errors: ['cursor_invalid', 'list_order_invalid', 'namespace_path_invalid'],
      handle: async ({ query, caller }) => {
        const scope = caller.by.authority.scope({ resource, verb: 'list' });
        return { body: pageAnswer(await tasks.list(pageRequest(query), wholeNamespaces(scope)), shownTask) };
      },
    }),
    operation({
      ...one,
      name: 'getTask',
      method: 'GET',
      path: '/tasks/:id',
      summary: 'One task and how far it is',
      access: { resource, verb: 'get', id: 'id' },
      errors: ['task_not_found'],
      handle: async ({ params, caller }) => ({ body: shownTask(await permitted(params.id, 'get', caller)) }),
    }),
    operation({
      ...one,
      name: 'cancelTask',
      method: 'POST',
      path: '/tasks/:id/_cancel',
      summary: 'Ends a task: at once when it waits, otherwise as soon as its attempt heeds that',
      access: { resource, verb: 'manage', id: 'id' },
      errors: ['task_not_found', 'task_state_conflict'],
      handle: async ({ params, caller }) => {
        await permitted(params.id, 'manage', caller);
        return { body: shownTask(await tasks.cancel(params.id, caller.by.context)) };
      },
    }),
    operation({
      ...one,
      name: 'retryTask',
      method: 'POST',
      path: '/tasks/:id/_retry',
      summary: 'Puts a task back that is dead or was cancelled; runs one now that waits',
      access: { resource, verb: 'manage', id: 'id' },
      errors: ['task_not_found', 'task_state_conflict'],
      handle: async ({ params, caller }) => {
        await permitted(params.id, 'manage', caller);
        return { body: shownTask(await tasks.retry(params.id, caller.by.context)) };
      },
    }),
  ];
}
