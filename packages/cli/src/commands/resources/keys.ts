import { itemsOf, type Result } from '@sallyport/client';
import type { Column } from '../../control/output.js';
import { column, labelsColumn, timeColumn } from './columns.js';
import { labelCommands } from './label-commands.js';
import { listCommand, namespaceFilter } from './list-command.js';
import { mapOption } from './option-values.js';
import { keyId, referenceHelp } from './references.js';
import { type ResourceGroup, resourceCommand, type Work } from './resource-command.js';
import { watchTask } from './tasks.js';
import { mapFile } from './value-files.js';

const key = ['<key>', `${referenceHelp}; key_global is the global one`] as const;
const dataFile = { flags: '--data-file <file>', description: 'where its material is, as `key_data` has it, in JSON or YAML; - is standard input' };

interface NewKey {
  readonly namespace: string;
  readonly dataFile?: string;
  readonly label?: Record<string, string>;
  readonly annotation?: Record<string, string>;
}

interface KeyChanges {
  readonly name?: string;
  readonly state?: 'active' | 'disabled';
  readonly dataFile?: string;
}

type Progress = Result<'getReencryption'>['items'][number];

const progressColumns: readonly Column<Progress>[] = [
  { head: 'WHAT', cell: ({ table, column: name }) => `${table}.${name}` },
  column('state'),
  column('scanned'),
  column('changed'),
  column('failed'),
  timeColumn('updated_at', 'UPDATED'),
];

/** `sallyport keys`. */
export const keys: ResourceGroup = {
  name: 'keys',
  summary: 'what stored secrets are encrypted with',
  description: 'Encryption keys: what wraps the data keys of a namespace and of what is below it.',
  commands: [
    listCommand({
      summary: 'list the keys that you may see, without their data',
      operation: 'listKeys',
      filters: [
        namespaceFilter,
        { flags: '--name <name>', description: 'only those with this name' },
        { flags: '--state <state>', description: 'only those in this state', choices: ['active', 'disabled'] },
        { flags: '-l, --label-selector <selector>', description: 'such as "env=prod,tier in (web,api),!legacy"' },
      ],
      columns: [column('id'), column('namespace'), column('name'), column('state'), column('provider'), labelsColumn],
      empty: 'There is no such key.',
      adminOnly: true,
      examples: ['sallyport keys list', 'sallyport keys list --namespace root.team.** -o yaml'],
    }),
    resourceCommand({
      name: 'get',
      summary: 'show one key; what is secret in its data is masked unless you may see it',
      args: [key],
      adminOnly: true,
      examples: ['sallyport keys get root.team/main'],
      run: async ({ client, args: [named = ''] }) => ({
        kind: 'one',
        value: (await client.getKey({ path: { id: await keyId(client, named) } })).data,
      }),
    }),
    resourceCommand<NewKey>({
      name: 'create',
      summary: 'make a key, whose provider is tried before it is saved',
      description: 'Makes a key. Without --data-file its material is random, made by the server and kept encrypted in its database.',
      args: [['<name>', 'its name, unique in its namespace']],
      flags: [
        { flags: '-n, --namespace <path>', description: 'where it is', default: 'root' },
        dataFile,
        { flags: '-l, --label <key=value>', description: 'a label; can be repeated', parse: mapOption },
        { flags: '--annotation <key=value>', description: 'an annotation; can be repeated', parse: mapOption },
      ],
      adminOnly: true,
      examples: ['sallyport keys create main --namespace root.team', 'echo \'{"env_var": "TEAM_KEY"}\' | sallyport keys create main --data-file -'],
      run: async ({ client, args: [name = ''], options }) => {
        const { namespace, dataFile: file, label, annotation } = options;
        const body = {
          ...{ name, namespace, key_data: file === undefined ? { random: true } : await mapFile(file) },
          ...(label !== undefined && { labels: label }),
          ...(annotation !== undefined && { annotations: annotation }),
        };
        return { kind: 'one', value: (await client.createKey({ body })).data };
      },
    }),
    resourceCommand<KeyChanges>({
      name: 'update',
      summary: 'change the name, the state or the material of a key',
      description: 'Changes a key; what is left out stays. New material wraps all its data keys anew: nothing that it encrypted is lost.',
      args: [key],
      flags: [
        { flags: '--name <name>', description: 'its new name' },
        { flags: '--state <state>', description: 'a disabled key decrypts, but encrypts nothing new', choices: ['active', 'disabled'] },
        dataFile,
      ],
      adminOnly: true,
      examples: ['sallyport keys update root.team/main --state disabled', 'sallyport keys update root.team/main --data-file vault.yaml'],
      run: async ({ client, args: [named = ''], options: { name, state, dataFile: file } }) => {
        const body = {
          ...(name !== undefined && { name }),
          ...(state !== undefined && { state }),
          ...(file !== undefined && { key_data: await mapFile(file) }),
        };
        return { kind: 'one', value: (await client.updateKey({ path: { id: await keyId(client, named) }, body })).data };
      },
    }),
    ...labelCommands({
      group: 'keys',
      argument: key,
      example: 'root.team/main',
      adminOnly: true,
      read: async (client, named) => client.getKey({ path: { id: await keyId(client, named) } }),
      write: async (client, named, body, ifMatch) => client.updateKey({ path: { id: await keyId(client, named) }, body, ifMatch }),
    }),
    resourceCommand({
      name: 'delete',
      summary: 'delete a key that nothing needs any more',
      description: 'Deletes a key. While a namespace or a value needs it, it is refused.',
      args: [key],
      confirmed: true,
      adminOnly: true,
      examples: ['sallyport keys delete root.team/main'],
      run: async ({ client, args: [named = ''], confirm }) => {
        const { data, etag } = await client.getKey({ path: { id: await keyId(client, named) } });
        const name = `${data.namespace}/${data.name ?? data.id}`;
        await confirm(`Delete the key ${name}?`);
        await client.deleteKey({ path: { id: data.id }, ifMatch: etag });
        return { kind: 'done', sentence: `The key ${name} is gone.` };
      },
    }),
    resourceCommand({
      name: 'versions',
      summary: 'list the versions of a key, the newest first',
      args: [key],
      adminOnly: true,
      examples: ['sallyport keys versions root.team/main'],
      run: async ({ client, args: [named = ''] }) => {
        const path = { id: await keyId(client, named) };
        const items: Result<'listKeyVersions'>['items'] = [];
        for await (const version of itemsOf((asked?: { query?: { cursor?: string } }) => client.listKeyVersions({ path, ...asked })))
          items.push(version);
        const columns = [column('id'), column('state'), column('messages'), column('destroyed'), timeColumn('created_at', 'CREATED')];
        return { kind: 'list', items, columns, empty: 'The key has no versions.' };
      },
    }),
    resourceCommand({
      name: 'rotate',
      summary: 'have a new version of a key encrypt from now on',
      description: 'Makes a new version, which encrypts from now on. The old ones read until re-encryption has moved what they encrypted.',
      args: [key],
      adminOnly: true,
      examples: ['sallyport keys rotate root.team/main'],
      run: async ({ client, args: [named = ''] }) => ({
        kind: 'one',
        value: (await client.rotateKey({ path: { id: await keyId(client, named) } })).data,
      }),
    }),
    resourceCommand<{ watch?: true; status?: true }>({
      name: 'reencrypt',
      summary: 'bring everything under the newest versions of the keys',
      description: 'Begins to bring everything under the active versions of the keys, which otherwise happens every half hour.',
      flags: [
        { flags: '--watch', description: 'wait for its end, and show how far it is; the exit code is 1 when it fails' },
        { flags: '--status', description: 'begin nothing; say how far it is, or how the last run went' },
      ],
      adminOnly: true,
      examples: ['sallyport keys reencrypt --watch', 'sallyport keys reencrypt --status'],
      run: reencrypt,
    }),
  ],
};

async function reencrypt({ client, options: { watch, status }, progress }: Work<{ watch?: true; status?: true }>) {
  if (status === true) {
    const { items } = (await client.getReencryption()).data;
    return { kind: 'list', items, columns: progressColumns, empty: 'Nothing has been re-encrypted yet.' } as const;
  }
  const { task_id: id } = (await client.runReencryption()).data;
  return watch === true ? watchTask(client, id, progress) : ({ kind: 'one', value: { task_id: id } } as const);
}
