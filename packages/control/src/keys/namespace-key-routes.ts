import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { Namespaces } from '../namespaces/namespaces.js';
import type { Caller } from '../server/caller.js';
import { type Operation, operation, type ServiceName } from '../server/operation.js';
import { permittedKey } from './key-routes.js';
import type { KeyService } from './key-service.js';

/** What the operations on the keys of namespaces work with. */
export interface NamespaceKeyRoutes {
  readonly keys: KeyService;
  readonly namespaces: Pick<Namespaces, 'get'>;
}

const services: readonly ServiceName[] = ['admin-api'];
const resource = 'namespaces';
const path = z.object({ path: z.string().max(1024).describe('As `root.team.product`.') });
const result = z
  .object({ namespace: z.string(), key_id: z.string() })
  .meta({ id: 'NamespaceKey', description: 'The key that a namespace has of its own, and what is below it inherits.' });

/** `/namespaces/:path/key`: which key encrypts in a namespace and below it. Needs the namespace, and `get` on the key. */
export function namespaceKeyOperations({ keys, namespaces }: NamespaceKeyRoutes): readonly Operation[] {
  const common = { services, tag: 'keys', path: '/namespaces/:path/key', params: path } as const;
  const errors = ['namespace_not_found', 'namespace_path_invalid', 'key_not_found'] as const;

  async function requireNamespace(at: string, verb: string, { by }: Caller): Promise<void> {
    by.authority.require({ namespace: at, resource, verb, resource_id: at });
    await namespaces.get(at);
  }

  /** The namespace's own key, which the caller may see; null when it inherits. */
  async function ownKey(at: string, caller: Caller): Promise<string | null> {
    const keyId = await keys.assigned(at);
    return keyId === null ? null : (await permittedKey(keys, keyId, 'get', caller)).id;
  }

  return [
    operation({
      ...common,
      name: 'getNamespaceKey',
      method: 'GET',
      summary: 'The key of a namespace; 404 when it inherits the one of the namespace above',
      access: { resource, verb: 'get', id: 'path', namespace: 'path' },
      status: 200,
      result,
      errors,
      handle: async ({ params, caller }) => {
        await requireNamespace(params.path, 'get', caller);
        const keyId = await ownKey(params.path, caller);
        if (keyId === null) throw new SallyportError('key_not_found', { detail: 'The namespace has no key of its own.' });
        return { body: { namespace: params.path, key_id: keyId } };
      },
    }),
    operation({
      ...common,
      name: 'setNamespaceKey',
      method: 'PUT',
      summary: 'Lets a key of the namespace or of one above it encrypt in the namespace and below it',
      description: 'What is there already is moved to it by the next re-encryption.',
      access: { resource, verb: 'update', id: 'path', namespace: 'path' },
      body: z.strictObject({ key_id: z.string().max(128) }),
      status: 200,
      result,
      errors: [...errors, 'namespace_not_active', 'key_out_of_reach'],
      handle: async ({ params, body, caller }) => {
        await requireNamespace(params.path, 'update', caller);
        const key = await permittedKey(keys, body.key_id, 'get', caller);
        await keys.assign(params.path, key.id, caller.by.context);
        return { body: { namespace: params.path, key_id: key.id } };
      },
    }),
    operation({
      ...common,
      name: 'removeNamespaceKey',
      method: 'DELETE',
      summary: 'Lets the namespace inherit again; also when it does',
      access: { resource, verb: 'update', id: 'path', namespace: 'path' },
      status: 204,
      errors,
      handle: async ({ params, caller }) => {
        await requireNamespace(params.path, 'update', caller);
        const keyId = await ownKey(params.path, caller);
        if (keyId !== null) await keys.unassign(params.path, caller.by.context, keyId);
        return {};
      },
    }),
  ];
}
