import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { Database } from '../database/open-database.js';
import { labelMap, labelOperations } from '../labels/label-routes.js';
import { labelsOf } from '../labels/label-service.js';
import type { Caller } from '../server/caller.js';
import { listOf, listQuery, pageAnswer, pageRequest } from '../server/list-schemas.js';
import { type Operation, operation, type ServiceName } from '../server/operation.js';
import { keyData, keyName, keySchema, keyVersionSchema, shownKey, shownVersion } from './key-schemas.js';
import type { KeyService } from './key-service.js';
import type { KeyRow } from './key-tables.js';

/** What the operations on keys work with. */
export interface KeyRoutes {
  readonly database: Database;
  readonly keys: KeyService;
}

const services: readonly ServiceName[] = ['admin-api'];
const resource = 'keys';
const id = z.object({ id: z.string().max(128) });
const common = { services, tag: resource } as const;
const changes = { labels: labelMap.optional(), annotations: labelMap.optional() };
const ofKeyData = ['key_data_invalid', 'key_provider_forbidden', 'key_provider_failed', 'key_unavailable', 'redacted_value_refused'] as const;

/** The key, if the caller may do this with it: `key_not_found` when it may not even read it, so that ids cannot be tried out. */
export async function permittedKey(keys: Pick<KeyService, 'get'>, keyId: string, verb: string, { by }: Caller): Promise<KeyRow> {
  const key = await keys.get(keyId);
  const asked = { namespace: key.namespace, resource, resource_id: key.id };
  if (by.authority.permits({ ...asked, verb })) return key;
  if (!by.authority.permits({ ...asked, verb: 'get' })) throw new SallyportError('key_not_found');
  by.authority.require({ ...asked, verb });
  return key;
}

/** `/keys` and what is below it. */
export function keyOperations({ database, keys }: KeyRoutes): readonly Operation[] {
  async function withoutData(key: KeyRow): Promise<z.input<typeof keySchema>> {
    return shownKey(key, (await labelsOf(database.db, 'key', [key.id])).get(key.id));
  }

  /** One key with its data. When a provider above it is not there the data alone is missing: whoever puts that right has to see the rest. */
  async function single(key: KeyRow): Promise<z.input<typeof keySchema>> {
    const shown = await withoutData(key);
    try {
      const data = await keys.keyData(key);
      return data === null ? shown : { ...shown, key_data: { ...data } };
    } catch (error) {
      if (error instanceof SallyportError && !error.code.startsWith('database_')) return { ...shown, key_data_error: error.code };
      throw error;
    }
  }

  return [
    ...versionOperations(keys),
    operation({
      ...common,
      name: 'listKeys',
      method: 'GET',
      path: '/keys',
      summary: 'The keys that the caller may see, without their data',
      access: { resource, verb: 'list' },
      query: listQuery({
        namespace: z.string().max(1024).optional().describe('A path, or `path.**` with everything below it.'),
        name: keyName.optional(),
        state: z.enum(['active', 'disabled']).optional(),
        label_selector: z.string().max(4096).optional().describe('As `env=prod,tier in (web,api),!legacy`.'),
      }),
      status: 200,
      result: listOf(keySchema),
      errors: ['cursor_invalid', 'list_order_invalid', 'namespace_path_invalid', 'selector_invalid'],
      handle: async ({ query, caller }) => {
        const page = await keys.list(pageRequest(query), caller.by.authority);
        const ids = page.items.map((key) => key.id);
        const carried = await labelsOf(database.db, 'key', ids);
        return { body: pageAnswer(page, (key) => shownKey(key, carried.get(key.id))) };
      },
    }),
    operation({
      ...common,
      name: 'createKey',
      method: 'POST',
      path: '/keys',
      summary: 'A new key, whose provider has wrapped and unwrapped something before it is saved',
      description: 'The answer is without `key_data`: reading the key shows it.',
      access: { resource, verb: 'create' },
      body: z.strictObject({ namespace: z.string().max(1024), name: keyName.optional(), key_data: keyData, ...changes }),
      status: 201,
      result: keySchema,
      errors: ['key_exists', 'namespace_not_found', 'namespace_not_active', 'label_invalid', ...ofKeyData],
      idempotencyKey: true,
      handle: async ({ body: { key_data, ...given }, caller: { by } }) => {
        by.authority.require({ namespace: given.namespace, resource, verb: 'create' });
        const key = await keys.create({ ...given, keyData: key_data }, by.context);
        // Without the data: this answer is kept for whoever asks again, and would outlive the key when that is destroyed.
        return { body: await withoutData(key), version: key.version, headers: { location: `/keys/${key.id}` } };
      },
    }),
    operation({
      ...common,
      name: 'getKey',
      method: 'GET',
      path: '/keys/:id',
      summary: 'One key, with the secrets in its data only for callers who may `replay` `secrets` in its namespace',
      access: { resource, verb: 'get', id: 'id' },
      params: id,
      status: 200,
      result: keySchema,
      errors: ['key_not_found'],
      handle: async ({ params, caller }) => {
        const key = await permittedKey(keys, params.id, 'get', caller);
        return { body: await single(key), version: key.version };
      },
    }),
    operation({
      ...common,
      name: 'updateKey',
      method: 'PATCH',
      path: '/keys/:id',
      summary: 'Changes a key; what is left out stays, and new `key_data` wraps all its data keys anew',
      access: { resource, verb: 'update', id: 'id' },
      params: id,
      body: z.strictObject({
        name: keyName.nullable().optional().describe('Null takes it away.'),
        state: z.enum(['active', 'disabled']).optional(),
        key_data: keyData.optional(),
        ...changes,
      }),
      status: 200,
      result: keySchema,
      errors: ['key_not_found', 'key_global', 'key_exists', 'label_invalid', 'ciphertext_invalid', ...ofKeyData],
      conditional: true,
      handle: async ({ params, body: { key_data, ...given }, caller, ifMatch }) => {
        await permittedKey(keys, params.id, 'update', caller);
        const key = await keys.update(params.id, { ...given, keyData: key_data }, caller.by.context, ifMatch);
        return { body: await single(key), version: key.version };
      },
    }),
    operation({
      ...common,
      name: 'deleteKey',
      method: 'DELETE',
      path: '/keys/:id',
      summary: 'Deletes a key that nothing needs any more',
      description: 'While a namespace is assigned to it or a value is encrypted with it, the answer is 409. Its material is destroyed a day later.',
      access: { resource, verb: 'delete', id: 'id' },
      params: id,
      status: 204,
      errors: ['key_not_found', 'key_global', 'key_in_use'],
      conditional: true,
      handle: async ({ params, caller, ifMatch }) => {
        await permittedKey(keys, params.id, 'delete', caller);
        await keys.delete(params.id, caller.by.context, ifMatch);
        return {};
      },
    }),
    ...labelOperations({
      ...{ resource, services, name: 'Key', path: '/keys/:id', id: 'id' },
      read: async (keyId, caller) => {
        await permittedKey(keys, keyId, 'get', caller);
        return (await labelsOf(database.db, 'key', [keyId])).get(keyId) ?? { labels: {}, annotations: {} };
      },
      change: async (keyId, caller, apply) => {
        await permittedKey(keys, keyId, 'update', caller);
        await keys.relabel(keyId, caller.by.context, apply);
      },
    }),
  ];
}

function versionOperations(keys: KeyService): readonly Operation[] {
  return [
    operation({
      ...common,
      name: 'listKeyVersions',
      method: 'GET',
      path: '/keys/:id/versions',
      summary: 'The versions of a key, the newest first, also those that are destroyed',
      access: { resource, verb: 'get', id: 'id' },
      params: id,
      query: listQuery({}),
      status: 200,
      result: listOf(keyVersionSchema),
      errors: ['key_not_found', 'cursor_invalid', 'list_order_invalid'],
      handle: async ({ params, query, caller }) => {
        await permittedKey(keys, params.id, 'get', caller);
        return { body: pageAnswer(await keys.versions(params.id, pageRequest(query)), shownVersion) };
      },
    }),
    operation({
      ...common,
      name: 'rotateKey',
      method: 'POST',
      path: '/keys/:id/_rotate',
      summary: 'A new version, which encrypts from now on; the old ones read until re-encryption has moved what they encrypted',
      access: { resource, verb: 'update', id: 'id' },
      params: id,
      status: 200,
      result: keyVersionSchema,
      errors: ['key_not_found', 'key_provider_forbidden', 'key_provider_failed', 'ciphertext_invalid'],
      idempotencyKey: true,
      conditional: true,
      handle: async ({ params, caller, ifMatch }) => {
        await permittedKey(keys, params.id, 'update', caller);
        return { body: shownVersion(await keys.rotate(params.id, caller.by.context, ifMatch)) };
      },
    }),
  ];
}
