import { lifetimeOption } from '../../control/lifetime-option.js';
import { type Service, services } from '../../control/services.js';
import { type PermissionRule, permissionOption } from './option-values.js';
import { type ResourceGroup, resourceCommand } from './resource-command.js';
import { permissionsOf } from './value-files.js';

interface NewToken {
  readonly for: readonly Service[];
  readonly expiresIn: number;
  readonly singleUse?: true;
  readonly permission?: readonly PermissionRule[];
  readonly permissionsFile?: string;
}

/** `sallyport tokens`. */
export const tokens: ResourceGroup = {
  name: 'tokens',
  summary: 'tokens that the server signs',
  description: 'Tokens that the server signs, for programs and agents that have no key of their own.',
  commands: [
    resourceCommand<NewToken>({
      name: 'create',
      summary: 'print a token for your own actor, with no more rights than you have',
      description:
        'Prints a token for your own actor. Whoever has it acts as you within the permissions it is limited to, until it ends: give an agent no more than ' +
        'it needs.',
      flags: [
        { flags: '--for <services...>', description: 'the services it is for', choices: services, default: ['api'] },
        {
          flags: '--expires-in <time>',
          description: 'how long it is good, such as 90s, 15m or 24h',
          parse: lifetimeOption,
          default: 3600,
          defaultText: '1h',
        },
        {
          flags: '-p, --permission <rule>',
          description: 'what it is limited to: "NAMESPACE RESOURCES VERBS [IDS]"; can be repeated; all that you may do when left out',
          parse: permissionOption,
        },
        { flags: '--permissions-file <file>', description: 'the same as a list, in JSON or YAML, also down to methods and paths' },
        { flags: '--single-use', description: 'it can be used only once' },
      ],
      // Nothing is made for a service that what it is made with is not for.
      alsoFor: (options) => options.for,
      examples: [
        'sallyport tokens create --permission "root.team connections proxy" --expires-in 15m',
        'sallyport tokens create --for api public --permissions-file agent.yaml -o json',
      ],
      run: async ({ client, options }) => {
        const limit = await permissionsOf(options);
        const { for: audiences, expiresIn, singleUse } = options;
        const body = {
          ...{ audiences: [...audiences], lifetime: expiresIn },
          ...(limit !== undefined && { permissions: limit }),
          ...(singleUse === true && { single_use: true }),
        };
        const value = (await client.createToken({ body })).data;
        return { kind: 'text', text: value.token, value };
      },
    }),
  ],
};
