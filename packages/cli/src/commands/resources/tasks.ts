import type { Client, components } from '@sallyport/client';
import type { Column } from '../../control/output.js';
import { column, timeColumn } from './columns.js';
import { listCommand, namespaceFilter } from './list-command.js';
import { type ResourceGroup, resourceCommand, type Shown } from './resource-command.js';
import { poll } from './watch.js';

type Task = components['schemas']['Task'];

const task = ['<task>', 'its id'] as const;
const states = ['pending', 'running', 'succeeded', 'failed', 'dead', 'cancelled'] as const;
const ended: readonly Task['state'][] = ['succeeded', 'dead', 'cancelled'];

const progressColumn: Column<Task> = { head: 'PROGRESS', cell: progressText };

/** `sallyport tasks`. */
export const tasks: ResourceGroup = {
  name: 'tasks',
  summary: 'what the server does in the background',
  description: 'Tasks: what the server does in the background.',
  commands: [
    listCommand({
      summary: 'list tasks, the newest first',
      operation: 'listTasks',
      filters: [
        namespaceFilter,
        { flags: '--name <name>', description: 'only those that do this' },
        { flags: '--state <state>', description: 'only those in this state', choices: states },
      ],
      columns: [
        column('id'),
        column('name'),
        column('namespace'),
        column('state'),
        progressColumn,
        { head: 'ATTEMPTS', cell: ({ attempts, max_attempts: most }) => `${attempts}/${most}` },
        timeColumn('updated_at', 'UPDATED'),
      ],
      empty: 'There is no such task.',
      examples: ['sallyport tasks list --state dead', 'sallyport tasks list --name keys.reencrypt --limit 5'],
    }),
    resourceCommand<{ watch?: true }>({
      name: 'get',
      summary: 'show one task and how far it is',
      args: [task],
      flags: [{ flags: '--watch', description: 'wait for its end; the exit code is 1 when it does not succeed' }],
      examples: ['sallyport tasks get tsk_…', 'sallyport tasks get tsk_… --watch'],
      run: async ({ client, args: [id = ''], options, progress }) => {
        if (options.watch === true) return watchTask(client, id, progress);
        return { kind: 'one', value: (await client.getTask({ path: { id } })).data };
      },
    }),
    resourceCommand({
      name: 'cancel',
      summary: 'end a task: at once when it waits, otherwise as soon as its attempt heeds that',
      args: [task],
      confirmed: true,
      examples: ['sallyport tasks cancel tsk_…'],
      run: async ({ client, args: [id = ''], confirm }) => {
        await confirm(`Cancel the task ${id}?`);
        return { kind: 'one', value: (await client.cancelTask({ path: { id } })).data };
      },
    }),
    resourceCommand({
      name: 'retry',
      summary: 'put a task back that is dead or was cancelled; run one now that waits',
      args: [task],
      examples: ['sallyport tasks retry tsk_…'],
      run: async ({ client, args: [id = ''] }) => ({ kind: 'one', value: (await client.retryTask({ path: { id } })).data }),
    }),
  ],
};

/** Waits for the end of a task. What is shown has the exit code 1 when it did not succeed. */
export async function watchTask(client: Client, id: string, progress: (text: string) => void): Promise<Shown> {
  let value: Task | undefined;
  await poll(async () => {
    value = (await client.getTask({ path: { id } })).data;
    progress([value.name, value.state, progressText(value)].filter((part) => part !== '').join('  '));
    return ended.includes(value.state);
  });
  const { state, error } = value as Task;
  const text = `${id} ${state}${error === undefined ? '' : `: ${error.code}, ${error.detail}`}`;
  return { kind: 'text', text, value: value as Task, code: state === 'succeeded' ? 0 : 1 };
}

function progressText({ progress }: Pick<Task, 'progress'>): string {
  if (progress === undefined) return '';
  const { done, total, note } = progress;
  return [`${done}${total === undefined ? '' : ` of ${total}`}`, ...(note === undefined ? [] : [note])].join(', ');
}
