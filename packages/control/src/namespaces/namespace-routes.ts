import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { Database } from '../database/open-database.js';
import { labelMap, labelOperations } from '../labels/label-routes.js';
import { labelsOf, updateLabels } from '../labels/label-service.js';
import type { Authority } from '../permissions/authority.js';
import type { Caller } from '../server/caller.js';
import { listOf, listQuery, pageAnswer, pageRequest, timeSchema, timeText } from '../server/list-schemas.js';
import { type Operation, operation, type ServiceName } from '../server/operation.js';
import { matchesNamespace, type NamespaceScope, simplified } from './namespace-matcher.js';
import type { Namespace, Namespaces } from './namespaces.js';

/** What the operations on namespaces work with. */
export interface NamespaceRoutes {
  readonly database: Database;
  readonly namespaces: Namespaces;
}

const services: readonly ServiceName[] = ['api', 'admin-api'];
const resource = 'namespaces';
const path = z.object({ path: z.string().max(1024).describe('As `root.team.product`.') });

const namespaceSchema = z
  .object({
    path: z.string(),
    name: z.string().describe('The last segment of the path.'),
    state: z.enum(['active', 'destroying', 'destroyed']),
    labels: labelMap,
    annotations: labelMap,
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: 'Namespace', description: 'A node of the tree under `root`.' });

const destructionSchema = z
  .object({
    id: z.string(),
    path: z.string(),
    total: z.int().describe('The namespaces at and below the path.'),
    destroyed: z.int().describe('Those that this deletion has destroyed; one above or below it may have taken others.'),
    finished: z.boolean(),
    failures: z.int().describe('How often in a row it failed. It is tried again, after a pause that grows.'),
    failure: z.string().nullable().describe('Why it failed the last time, as the code of an error.'),
  })
  .meta({ id: 'NamespaceDestruction', description: 'The deletion of a namespace with everything in it and below it, as far as it is.' });

/** `/namespaces` and what is below it. A namespace is its own id: permissions name it by its path. */
export function namespaceOperations({ database, namespaces }: NamespaceRoutes): readonly Operation[] {
  const common = { services, tag: resource } as const;

  async function shown(namespace: Namespace): Promise<z.input<typeof namespaceSchema>> {
    return (await shownAll([namespace]))[0];
  }

  async function shownAll(all: readonly Namespace[]): Promise<readonly z.input<typeof namespaceSchema>[]> {
    const paths = all.map((each) => each.path);
    const carried = await labelsOf(database.db, 'ns', paths);
    return all.map(({ path: at, name, state, createdAt, updatedAt }) => ({
      ...{ path: at, name, state, labels: {}, annotations: {}, ...carried.get(at) },
      ...{ created_at: timeText(createdAt), updated_at: timeText(updatedAt) },
    }));
  }

  return [
    operation({
      ...common,
      name: 'listNamespaces',
      method: 'GET',
      path: '/namespaces',
      summary: 'The namespaces that the caller may see, in the order of the tree',
      access: { resource, verb: 'list' },
      query: listQuery({
        namespace: z.string().max(1024).optional().describe('A path, or `path.**` with everything below it.'),
        children_of: z.string().max(1024).optional().describe('Those directly in this one.'),
        name: z.string().max(512).optional(),
        state: z.enum(['active', 'destroying']).optional(),
      }),
      status: 200,
      result: listOf(namespaceSchema),
      errors: ['cursor_invalid', 'list_order_invalid', 'namespace_path_invalid'],
      handle: async ({ query, caller }) => {
        const page = await namespaces.list(pageRequest(query), visibleTo(caller.by.authority));
        const items = await shownAll(page.items);
        return { body: pageAnswer({ ...page, items }, (item) => item) };
      },
    }),
    operation({
      ...common,
      name: 'createNamespace',
      method: 'POST',
      path: '/namespaces',
      summary: 'A new namespace in one that is there',
      access: { resource, verb: 'create' },
      body: z.strictObject({ path: path.shape.path, labels: labelMap.optional(), annotations: labelMap.optional() }),
      status: 201,
      result: namespaceSchema,
      errors: ['namespace_path_invalid', 'namespace_parent_missing', 'namespace_not_active', 'namespace_exists', 'label_invalid'],
      idempotencyKey: true,
      handle: async ({ body: { path: at, labels, annotations }, caller }) => {
        requireOn(caller, 'create', at);
        const created = await namespaces.create(at, caller.by.context, async (trx, { path: id }) => {
          await updateLabels(trx, { type: 'ns', id }, { labels, annotations });
          return { after: { labels, annotations } };
        });
        return { body: await shown(created), version: created.version, headers: { location: `/namespaces/${encodeURIComponent(at)}` } };
      },
    }),
    operation({
      ...common,
      name: 'getNamespace',
      method: 'GET',
      path: '/namespaces/:path',
      summary: 'One namespace',
      access: { resource, verb: 'get', id: 'path', namespace: 'path' },
      params: path,
      status: 200,
      result: namespaceSchema,
      errors: ['namespace_not_found', 'namespace_path_invalid'],
      handle: async ({ params, caller }) => {
        requireOn(caller, 'get', params.path);
        const namespace = await namespaces.get(params.path);
        return { body: await shown(namespace), version: namespace.version };
      },
    }),
    operation({
      ...common,
      name: 'updateNamespace',
      method: 'PATCH',
      path: '/namespaces/:path',
      summary: 'Replaces the labels or the annotations of a namespace',
      access: { resource, verb: 'update', id: 'path', namespace: 'path' },
      params: path,
      body: z.strictObject({ labels: labelMap.optional(), annotations: labelMap.optional() }),
      status: 200,
      result: namespaceSchema,
      errors: ['namespace_not_found', 'namespace_path_invalid', 'namespace_not_active', 'label_invalid'],
      conditional: true,
      handle: async ({ params, body, caller, ifMatch }) => {
        requireOn(caller, 'update', params.path);
        const updated = await namespaces.update(
          params.path,
          caller.by.context,
          async (trx, { path: id }) => {
            const before = (await labelsOf(trx, 'ns', [id])).get(id);
            await updateLabels(trx, { type: 'ns', id }, body);
            return { before: { ...before }, after: { ...before, ...body } };
          },
          ifMatch,
        );
        return { body: await shown(updated), version: updated.version };
      },
    }),
    operation({
      ...common,
      name: 'deleteNamespace',
      method: 'DELETE',
      path: '/namespaces/:path',
      summary: 'Begins to delete a namespace with everything in it and below it',
      description: 'From this moment on nothing can be put into it. Its contents go later; what was encrypted with its keys cannot be read any more.',
      access: { resource, verb: 'delete', id: 'path', namespace: 'path' },
      params: path,
      status: 202,
      result: destructionSchema,
      errors: ['namespace_not_found', 'namespace_path_invalid', 'namespace_protected'],
      conditional: true,
      handle: async ({ params, caller, ifMatch }) => {
        requireOn(caller, 'delete', params.path);
        const begun = await namespaces.destroy(params.path, caller.by.context, ifMatch);
        return { body: begun, headers: { location: `/namespace-deletions/${begun.id}` } };
      },
    }),
    operation({
      ...common,
      name: 'getNamespaceDeletion',
      method: 'GET',
      path: '/namespace-deletions/:id',
      summary: 'How far the deletion of a namespace is, also after the namespace is gone',
      access: { resource, verb: 'get' },
      params: z.object({ id: z.string().max(128) }),
      status: 200,
      result: destructionSchema,
      errors: ['namespace_not_found'],
      handle: async ({ params, caller }) => {
        const deletion = await namespaces.destructionProgress(params.id);
        const asked = { namespace: deletion.path, resource, verb: 'get', resource_id: deletion.path };
        // Ids cannot be tried out: what the caller may not read does not exist.
        if (!caller.by.authority.permits(asked)) throw new SallyportError('namespace_not_found');
        return { body: deletion };
      },
    }),
    ...labelOperations({
      ...{ resource, services, name: 'Namespace', path: '/namespaces/:path', id: 'path' },
      read: async (id, caller) => {
        requireOn(caller, 'get', id);
        await namespaces.get(id);
        return (await labelsOf(database.db, 'ns', [id])).get(id) ?? { labels: {}, annotations: {} };
      },
      change: async (id, caller, apply) => {
        requireOn(caller, 'update', id);
        await namespaces.update(id, caller.by.context, async (trx) => {
          const before = { ...(await labelsOf(trx, 'ns', [id])).get(id) };
          await apply(trx, { type: 'ns', id });
          return { before, after: { ...(await labelsOf(trx, 'ns', [id])).get(id) } };
        });
      },
    }),
  ];
}

/** A namespace is in itself: a permission for a namespace is one for what is in it and for the namespace itself. */
function requireOn({ by }: Caller, verb: string, namespace: string): void {
  by.authority.require({ namespace, resource, verb, resource_id: namespace });
}

/** The ids of namespaces are their paths, so a permission for single ids shows exactly these. */
function visibleTo(authority: Authority): NamespaceScope {
  const { clauses } = authority.scope({ resource, verb: 'list' });
  return simplified(
    clauses.flatMap(({ namespace, ids }) =>
      ids === undefined ? [namespace] : ids.filter((id) => matchesNamespace(namespace, id)).map((id) => ({ path: id, subtree: false })),
    ),
  );
}
