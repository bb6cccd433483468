import { explanationTree } from './explanation-tree.js';
import { actorId, referenceHelp } from './references.js';
import { type ResourceGroup, resourceCommand, type Work } from './resource-command.js';

interface Question {
  readonly namespace: string;
  readonly id?: string;
  readonly method?: string;
  readonly requestPath?: string;
  readonly for?: string;
}

/** `sallyport permissions`. */
export const permissions: ResourceGroup = {
  name: 'permissions',
  summary: 'who may do what, and why',
  description: 'Says why something is allowed or not.',
  commands: [
    resourceCommand<Question>({
      name: 'explain',
      summary: 'say why something is allowed or not, rule by rule',
      description:
        'Says why something is allowed or not: to you, or to an actor that you may read. The exit code is 1 when it is not. What only a token limits ' +
        'is shown for yourself.',
      args: [
        ['<verb>', 'such as get'],
        ['<resource>', 'such as actors'],
      ],
      flags: [
        { flags: '-n, --namespace <path>', description: 'where', default: 'root' },
        { flags: '--id <id>', description: 'of a certain object' },
        { flags: '--method <method>', description: 'of a request through a connection; goes with --request-path' },
        { flags: '--request-path <path>', description: 'its path' },
        { flags: '--for <actor>', description: `of another actor: ${referenceHelp}` },
      ],
      examples: [
        'sallyport permissions explain create actors --namespace root.team',
        'sallyport permissions explain proxy connections --namespace root.team --method POST --request-path /v1/orders --for root.team/bot',
      ],
      run: explain,
    }),
  ],
};

async function explain({ client, args: [verb = '', resource = ''], options }: Work<Question>) {
  const { namespace, id, method, requestPath, for: other } = options;
  const query = {
    ...{ namespace, resource, verb },
    ...(id !== undefined && { resource_id: id }),
    ...(method !== undefined && { method }),
    ...(requestPath !== undefined && { request_path: requestPath }),
    ...(other !== undefined && { actor_id: await actorId(client, other) }),
  };
  const value = (await client.explainPermission({ query })).data;
  const { coloursFor } = await import('../../terminal.js');
  const what = `${verb} ${resource}${id === undefined ? '' : ` ${id}`} in ${namespace}${method === undefined ? '' : `, ${method} ${requestPath ?? ''}`}`;
  const text = explanationTree(what, value, coloursFor(process.stdout));
  return { kind: 'text', text, value, code: value.allowed ? 0 : 1 } as const;
}
