import type { Client } from '@sallyport/client';
import { column, labelsColumn, timeColumn } from './columns.js';
import { labelCommands } from './label-commands.js';
import { listCommand, namespaceFilter } from './list-command.js';
import { mapOption } from './option-values.js';
import { keyId, referenceHelp } from './references.js';
import { type ResourceGroup, resourceCommand, type Work } from './resource-command.js';
import { poll } from './watch.js';

const path = ['<path>', 'such as root.team.product'] as const;

interface NewNamespace {
  readonly label?: Record<string, string>;
  readonly annotation?: Record<string, string>;
}

/** `sallyport namespaces`. */
export const namespaces: ResourceGroup = {
  name: 'namespaces',
  summary: 'the tree that everything is in',
  description: 'Namespaces: the tree under `root` that actors, keys and connections are in.',
  commands: [
    listCommand({
      summary: 'list the namespaces that you may see',
      operation: 'listNamespaces',
      filters: [
        namespaceFilter,
        { flags: '--children-of <path>', description: 'only those directly in this one' },
        { flags: '--name <name>', description: 'only those whose last segment is this' },
        { flags: '--state <state>', description: 'only those in this state', choices: ['active', 'destroying'] },
      ],
      columns: [column('path'), column('state'), labelsColumn, timeColumn('created_at', 'CREATED')],
      empty: 'There is no such namespace.',
      examples: ['sallyport namespaces list', 'sallyport namespaces list --children-of root.team -o json'],
    }),
    resourceCommand({
      name: 'get',
      summary: 'show one namespace',
      args: [path],
      examples: ['sallyport namespaces get root.team'],
      run: async ({ client, args: [named = ''] }) => ({ kind: 'one', value: (await client.getNamespace({ path: { path: named } })).data }),
    }),
    resourceCommand<NewNamespace>({
      name: 'create',
      summary: 'make a namespace in one that is there',
      args: [path],
      flags: [
        { flags: '-l, --label <key=value>', description: 'a label; can be repeated', parse: mapOption },
        { flags: '--annotation <key=value>', description: 'an annotation; can be repeated', parse: mapOption },
      ],
      examples: ['sallyport namespaces create root.team', 'sallyport namespaces create root.team.product --label tier=gold'],
      run: async ({ client, args: [named = ''], options: { label, annotation } }) => {
        const body = { path: named, ...(label !== undefined && { labels: label }), ...(annotation !== undefined && { annotations: annotation }) };
        return { kind: 'one', value: (await client.createNamespace({ body })).data };
      },
    }),
    ...labelCommands({
      group: 'namespaces',
      argument: path,
      example: 'root.team',
      read: (client, named) => client.getNamespace({ path: { path: named } }),
      write: (client, named, body, ifMatch) => client.updateNamespace({ path: { path: named }, body, ifMatch }),
    }),
    resourceCommand({
      name: 'key',
      summary: 'show the key that a namespace encrypts with',
      description: 'Shows the key that is assigned to the namespace itself. A namespace without one encrypts with that of the nearest one above.',
      args: [path],
      adminOnly: true,
      examples: ['sallyport namespaces key root.team'],
      run: async ({ client, args: [named = ''] }) => ({ kind: 'one', value: (await client.getNamespaceKey({ path: { path: named } })).data }),
    }),
    resourceCommand({
      name: 'set-key',
      summary: 'have a namespace encrypt with a key',
      description: 'Assigns a key of the namespace or of one above it. What is there already is moved to it by the next re-encryption.',
      args: [path, ['<key>', referenceHelp]],
      adminOnly: true,
      examples: ['sallyport namespaces set-key root.team root.team/main'],
      run: async ({ client, args: [named = '', key = ''] }) => {
        const body = { key_id: await keyId(client, key) };
        return { kind: 'one', value: (await client.setNamespaceKey({ path: { path: named }, body })).data };
      },
    }),
    resourceCommand({
      name: 'unset-key',
      summary: 'have a namespace encrypt with the key of the one above',
      args: [path],
      adminOnly: true,
      examples: ['sallyport namespaces unset-key root.team'],
      run: async ({ client, args: [named = ''] }) => {
        await client.removeNamespaceKey({ path: { path: named } });
        return { kind: 'done', sentence: `${named} encrypts with the key of the namespace above it.` };
      },
    }),
    resourceCommand<{ watch?: true }>({
      name: 'delete',
      summary: 'delete a namespace with everything in it and below it',
      description:
        'Deletes a namespace with everything in it and below it. Its keys are destroyed too: what they encrypted can be read by nobody any more. From ' +
        'now on nothing can be put into it; its contents go in the background.',
      args: [path],
      flags: [{ flags: '--watch', description: 'wait until all of it is gone, and show how far it is' }],
      confirmed: true,
      examples: ['sallyport namespaces delete root.team', 'sallyport namespaces delete root.team --yes --watch'],
      run: deleteNamespace,
    }),
  ],
};

async function deleteNamespace({ client, args: [named = ''], options, confirm, progress }: Work<{ watch?: true }>) {
  const { etag } = await client.getNamespace({ path: { path: named } });
  await confirm(`Delete ${named} with everything in it and below it?`);
  const begun = (await client.deleteNamespace({ path: { path: named }, ifMatch: etag })).data;
  if (options.watch !== true) return { kind: 'one', value: begun } as const;
  progress(`${begun.destroyed} of ${begun.total} gone`);
  await poll(async () => {
    const { destroyed, total, finished } = await destruction(client, named, begun);
    progress(`${destroyed} of ${total} gone`);
    return finished;
  });
  return { kind: 'done', sentence: `${named} is gone.` } as const;
}

/** Asking again for a deletion that is under way says how far it is. What cannot be found any more is gone. */
async function destruction(client: Client, path: string, { total, id }: { readonly total: number; readonly id: string }) {
  try {
    const now = (await client.deleteNamespace({ path: { path }, ifMatch: '"0"' })).data;
    return now.id === id ? now : { total, destroyed: total, finished: true };
  } catch (error) {
    const { code } = error as { code?: unknown };
    // The version that is asked for never was: a namespace that somebody has made anew in the meantime is not touched.
    if (code === 'namespace_not_found' || code === 'precondition_failed') return { total, destroyed: total, finished: true };
    throw error;
  }
}
