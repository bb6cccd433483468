import { lifetimeOption } from '../../control/lifetime-option.js';
import { column, labelsColumn, timeColumn } from './columns.js';
import { labelCommands } from './label-commands.js';
import { listCommand, namespaceFilter } from './list-command.js';
import { mapOption, type PermissionRule, permissionOption } from './option-values.js';
import { actorId, referenceHelp } from './references.js';
import { type Flag, type ResourceGroup, resourceCommand, type Work } from './resource-command.js';
import { permissionsOf, textFile } from './value-files.js';

const actor = ['<actor>', referenceHelp] as const;

const permissionFlags: readonly Flag[] = [
  {
    flags: '-p, --permission <rule>',
    description: 'what it may do: "NAMESPACE RESOURCES VERBS [IDS]" such as "root.team.** actors get,list"; can be repeated',
    parse: permissionOption,
  },
  { flags: '--permissions-file <file>', description: 'the same as a list, in JSON or YAML; - is standard input' },
];

interface PermissionOptions {
  readonly permission?: readonly PermissionRule[];
  readonly permissionsFile?: string;
}

interface NewActor extends PermissionOptions {
  readonly namespace: string;
  readonly label?: Record<string, string>;
  readonly annotation?: Record<string, string>;
}

interface NewKey {
  readonly publicKey: string;
  readonly name?: string;
  readonly expiresIn?: number;
}

/** `sallyport actors`. */
export const actors: ResourceGroup = {
  name: 'actors',
  summary: 'users and service accounts',
  description: 'Actors: users and service accounts, what they may do, and the public keys that they sign with.',
  commands: [
    listCommand({
      summary: 'list the actors that you may see',
      operation: 'listActors',
      filters: [
        namespaceFilter,
        { flags: '--external-id <name>', description: 'only those with this name' },
        { flags: '--source <source>', description: 'only those that come from there', choices: ['api', 'config', 'key_directory', 'token', 'oidc'] },
        { flags: '-l, --label-selector <selector>', description: 'such as "env=prod,tier in (web,api),!legacy"' },
      ],
      columns: [column('id'), column('namespace'), column('external_id'), column('source'), labelsColumn, timeColumn('created_at', 'CREATED')],
      empty: 'There is no such actor.',
      examples: ['sallyport actors list --namespace root.team.**', 'sallyport actors list -l team=payments -o json'],
    }),
    resourceCommand({
      name: 'get',
      summary: 'show one actor',
      args: [actor],
      examples: ['sallyport actors get root.team/ada'],
      run: async ({ client, args: [named = ''] }) => ({
        kind: 'one',
        value: (await client.getActor({ path: { id: await actorId(client, named) } })).data,
      }),
    }),
    resourceCommand<NewActor>({
      name: 'create',
      summary: 'make an actor, with no more rights than you have',
      args: [['<external-id>', 'its name, unique in its namespace']],
      flags: [
        { flags: '-n, --namespace <path>', description: 'where it is', default: 'root' },
        ...permissionFlags,
        { flags: '-l, --label <key=value>', description: 'a label; can be repeated', parse: mapOption },
        { flags: '--annotation <key=value>', description: 'an annotation; can be repeated', parse: mapOption },
      ],
      examples: ['sallyport actors create ada --namespace root.team --permission "root.team.** * *"'],
      run: async ({ client, args: [name = ''], options }) => {
        const { namespace, label, annotation } = options;
        const permissions = await permissionsOf(options);
        const body = {
          ...{ external_id: name, namespace },
          ...(permissions !== undefined && { permissions }),
          ...(label !== undefined && { labels: label }),
          ...(annotation !== undefined && { annotations: annotation }),
        };
        return { kind: 'one', value: (await client.createActor({ body })).data };
      },
    }),
    resourceCommand<PermissionOptions>({
      name: 'update',
      summary: 'replace what an actor may do',
      args: [actor],
      flags: permissionFlags,
      examples: ['sallyport actors update root.team/ada --permissions-file ada.yaml'],
      run: async ({ client, args: [named = ''], options }) => {
        const permissions = await permissionsOf(options);
        const id = await actorId(client, named);
        return { kind: 'one', value: (await client.updateActor({ path: { id }, body: permissions === undefined ? {} : { permissions } })).data };
      },
    }),
    ...labelCommands({
      group: 'actors',
      argument: actor,
      example: 'root.team/ada',
      read: async (client, named) => client.getActor({ path: { id: await actorId(client, named) } }),
      write: async (client, named, body, ifMatch) => client.updateActor({ path: { id: await actorId(client, named) }, body, ifMatch }),
    }),
    resourceCommand({
      name: 'delete',
      summary: 'delete an actor with its keys and its sessions',
      args: [actor],
      confirmed: true,
      examples: ['sallyport actors delete root.team/ada', 'sallyport actors delete act_… --yes'],
      run: async ({ client, args: [named = ''], confirm }) => {
        const { data, etag } = await client.getActor({ path: { id: await actorId(client, named) } });
        const name = `${data.namespace}/${data.external_id}`;
        await confirm(`Delete the actor ${name}?`);
        await client.deleteActor({ path: { id: data.id }, ifMatch: etag });
        return { kind: 'done', sentence: `The actor ${name} is gone.` };
      },
    }),
    resourceCommand({
      name: 'keys',
      summary: 'list the public keys of an actor, also those that have ended',
      args: [actor],
      examples: ['sallyport actors keys root.team/ada'],
      run: async ({ client, args: [named = ''] }) => {
        const { items } = (await client.listActorKeys({ path: { id: await actorId(client, named) } })).data;
        const columns = [
          column('id'),
          column('name'),
          column('algorithm'),
          column('thumbprint'),
          timeColumn('created_at', 'CREATED'),
          timeColumn('expires_at', 'EXPIRES'),
          timeColumn('revoked_at', 'REVOKED'),
        ];
        return { kind: 'list', items, columns, empty: 'The actor has no keys.' };
      },
    }),
    resourceCommand<NewKey>({
      name: 'add-key',
      summary: 'add a public key to an actor',
      args: [actor],
      flags: newKeyFlags(),
      examples: ['sallyport actors add-key root.team/ada --public-key ~/.ssh/id_ed25519.pub --name laptop'],
      run: (work) => addKey(work, undefined),
    }),
    resourceCommand<NewKey & { grace: number }>({
      name: 'rotate-key',
      summary: 'add a public key to an actor and end its others',
      description: 'Adds a public key to an actor. Its other keys are good for a while longer, so that whoever uses them can change to the new one.',
      args: [actor],
      flags: [
        ...newKeyFlags(),
        {
          flags: '--grace <time>',
          description: 'how long the others are still good, such as 90s, 15m, 24h or 90d',
          parse: lifetimeOption,
          default: 86_400,
          defaultText: '24h',
        },
      ],
      examples: ['sallyport actors rotate-key root.team/ada --public-key new.pub --grace 1h'],
      run: (work) => addKey(work, work.options.grace),
    }),
    resourceCommand({
      name: 'revoke-key',
      summary: 'end a public key of an actor at once',
      args: [actor, ['<key-id>', 'its id, as `actors keys` shows it']],
      confirmed: true,
      examples: ['sallyport actors revoke-key root.team/ada akey_… --yes'],
      run: async ({ client, args: [named = '', key = ''], confirm }) => {
        const id = await actorId(client, named);
        await confirm(`End the key ${key} of ${named} at once?`);
        await client.revokeActorKey({ path: { id, key_id: key } });
        return { kind: 'done', sentence: `The key ${key} is good for nothing any more.` };
      },
    }),
  ],
};

function newKeyFlags(): readonly Flag[] {
  return [
    { flags: '--public-key <file>', description: 'an OpenSSH line, PEM or a JWK; - is standard input', required: true },
    { flags: '--name <name>', description: 'how people call it' },
    { flags: '--expires-in <time>', description: 'it ends by itself, such as 24h or 90d', parse: lifetimeOption },
  ];
}

async function addKey({ client, args: [named = ''], options }: Work<NewKey>, grace: number | undefined) {
  const { publicKey, name, expiresIn } = options;
  const body = {
    public_key: await textFile(publicKey),
    ...(name !== undefined && { name }),
    ...(expiresIn !== undefined && { expires_at: new Date(Date.now() + expiresIn * 1000).toISOString() }),
    ...(grace !== undefined && { expire_others_after: grace }),
  };
  return { kind: 'one', value: (await client.addActorKey({ path: { id: await actorId(client, named) }, body })).data } as const;
}
