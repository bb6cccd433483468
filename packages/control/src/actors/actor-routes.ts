import { z } from 'zod';
import { labelMap, labelOperations } from '../labels/label-routes.js';
import { entriesOf, parsePermissions, permissionTemplateSchema } from '../permissions/permission.js';
import { permissionsInput, permissionsShown } from '../permissions/permission-routes.js';
import { listOf, listQuery, pageAnswer, pageRequest, timeSchema, timeText } from '../server/list-schemas.js';
import { type Operation, operation, type ServiceName } from '../server/operation.js';
import { type Actor, externalIdSchema } from './actor.js';
import type { ActorKeys } from './actor-keys.js';
import type { Actors } from './actors.js';

/** What the operations on actors work with. */
export interface ActorRoutes {
  readonly actors: Actors;
  readonly actorKeys: ActorKeys;
}

const services: readonly ServiceName[] = ['api', 'admin-api'];
const resource = 'actors';
const id = z.object({ id: z.string().max(128) });
const name = z.object({ external_id: externalIdSchema });
const inNamespace = z.strictObject({ namespace: z.string().max(1024).default('root').describe('Where the actor is.') });

const actorSchema = z
  .object({
    id: z.string(),
    namespace: z.string(),
    external_id: z.string(),
    source: z.string().describe('Where it comes from: `api`, `config`, `key_directory`, `token`, `oidc`.'),
    permissions: permissionsShown.describe('As they are stored: templates are not filled in.'),
    labels: labelMap,
    annotations: labelMap,
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: 'Actor', description: 'A user or a service account.' });

const changes = {
  permissions: permissionsInput.optional(),
  labels: labelMap.optional(),
  annotations: labelMap.optional(),
};

const actorKeySchema = z
  .object({
    id: z.string(),
    thumbprint: z.string().describe('RFC 7638; the `kid` of tokens that are signed with it.'),
    algorithm: z.string(),
    jwk: z.record(z.string(), z.string()),
    name: z.string().nullable(),
    created_at: timeSchema,
    expires_at: timeSchema.nullable(),
    revoked_at: timeSchema.nullable(),
  })
  .meta({ id: 'ActorKey', description: 'A public key that an actor signs its tokens with.' });

/** An actor as the API shows it. */
function shownActor({ version: _, token_generation: __, created_at, updated_at, ...actor }: Actor): z.input<typeof actorSchema> {
  const permissions = actor.permissions.map((entry) => z.parse(permissionsShown.element, entry));
  return { ...actor, permissions, created_at: timeText(created_at), updated_at: timeText(updated_at) };
}

/** `/actors`, the keys of actors, and `/me`. */
export function actorOperations({ actors, actorKeys }: ActorRoutes): readonly Operation[] {
  const common = { services, tag: resource } as const;
  return [
    ...readingOperations(actors),
    operation({
      ...common,
      name: 'createActor',
      method: 'POST',
      path: '/actors',
      summary: 'A new actor, with no more rights than the caller has',
      access: { resource, verb: 'create' },
      body: z.strictObject({ external_id: name.shape.external_id, namespace: z.string().max(1024).default('root'), ...changes }),
      status: 201,
      result: actorSchema,
      errors: [
        'actor_exists',
        'namespace_not_found',
        'namespace_not_active',
        'permission_invalid',
        'permission_outside_actor',
        'grant_exceeds_granter',
        'label_invalid',
      ],
      idempotencyKey: true,
      handle: async ({ body, caller }) => {
        const actor = await actors.create({ ...body, permissions: readPermissions(body.permissions) }, caller.by);
        return { body: shownActor(actor), version: actor.version, headers: { location: `/actors/${actor.id}` } };
      },
    }),
    operation({
      ...common,
      name: 'updateActor',
      method: 'PATCH',
      path: '/actors/:id',
      summary: 'Replaces the permissions, the labels or the annotations of an actor; what is left out stays',
      access: { resource, verb: 'update', id: 'id' },
      params: id,
      body: z.strictObject(changes),
      status: 200,
      result: actorSchema,
      errors: ['actor_not_found', 'permission_invalid', 'permission_outside_actor', 'grant_exceeds_granter', 'label_invalid'],
      conditional: true,
      handle: async ({ params, body, caller, ifMatch }) => {
        const actor = await actors.update(params.id, { ...body, permissions: readPermissions(body.permissions) }, caller.by, ifMatch);
        return { body: shownActor(actor), version: actor.version };
      },
    }),
    operation({
      ...common,
      name: 'deleteActor',
      method: 'DELETE',
      path: '/actors/:id',
      summary: 'Deletes an actor with its keys and its sessions',
      access: { resource, verb: 'delete', id: 'id' },
      params: id,
      status: 204,
      errors: ['actor_not_found', 'actor_deletes_itself'],
      conditional: true,
      handle: async ({ params, caller, ifMatch }) => {
        await actors.remove(params.id, caller.by, ifMatch);
        return {};
      },
    }),
    ...keyOperations(actorKeys),
    ...labelOperations({
      ...{ resource, services, name: 'Actor', path: '/actors/:id', id: 'id' },
      read: (actorId, { by }) => actors.get(actorId, by),
      change: (actorId, { by }, apply) => actors.relabel(actorId, by, apply),
    }),
  ];
}

function readingOperations(actors: Actors): readonly Operation[] {
  const common = { services, tag: resource, status: 200, method: 'GET' } as const;
  return [
    operation({
      ...common,
      name: 'getMe',
      path: '/me',
      services: ['public', 'api', 'admin-api'],
      summary: 'Who the caller is, and what it may do',
      access: 'authenticated',
      result: z.object({ actor: actorSchema, permissions: permissionsShown.describe('What is left of them under the token or the session.') }),
      handle: async ({ caller: { actor, by } }) => {
        const permissions = entriesOf(by.authority.permissions).map((entry) => z.parse(permissionsShown.element, entry));
        return { body: { actor: shownActor(actor), permissions } };
      },
    }),
    operation({
      ...common,
      name: 'listActors',
      path: '/actors',
      summary: 'The actors that the caller may see',
      access: { resource, verb: 'list' },
      query: listQuery({
        namespace: z.string().max(1024).optional().describe('A path, or `path.**` with everything below it.'),
        external_id: name.shape.external_id.optional(),
        source: z.enum(['api', 'config', 'key_directory', 'token', 'oidc']).optional(),
        label_selector: z.string().max(4096).optional().describe('As `env=prod,tier in (web,api),!legacy`.'),
      }),
      result: listOf(actorSchema),
      errors: ['cursor_invalid', 'list_order_invalid', 'namespace_path_invalid', 'selector_invalid'],
      handle: async ({ query, caller }) => ({ body: pageAnswer(await actors.list(pageRequest(query), caller.by), shownActor) }),
    }),
    operation({
      ...common,
      name: 'getActor',
      path: '/actors/:id',
      summary: 'One actor',
      access: { resource, verb: 'get', id: 'id' },
      params: id,
      result: actorSchema,
      errors: ['actor_not_found'],
      handle: async ({ params, caller }) => {
        const actor = await actors.get(params.id, caller.by);
        return { body: shownActor(actor), version: actor.version };
      },
    }),
    operation({
      ...common,
      name: 'getActorByExternalId',
      path: '/actors/external-id/:external_id',
      summary: 'The actor of a namespace with this external id',
      access: { resource, verb: 'get' },
      params: name,
      query: inNamespace,
      result: actorSchema,
      errors: ['actor_not_found'],
      handle: async ({ params, query, caller }) => {
        const actor = await actors.getByExternalId(query.namespace, params.external_id, caller.by);
        return { body: shownActor(actor), version: actor.version };
      },
    }),
  ];
}

function keyOperations(actorKeys: ActorKeys): readonly Operation[] {
  const common = { services, tag: resource } as const;
  type Key = Awaited<ReturnType<ActorKeys['add']>>;
  const shown = ({ created_at, expires_at, revoked_at, jwk, ...key }: Key): z.input<typeof actorKeySchema> => ({
    ...{ ...key, jwk: { ...jwk }, created_at: timeText(created_at) },
    expires_at: expires_at === null ? null : timeText(expires_at),
    revoked_at: revoked_at === null ? null : timeText(revoked_at),
  });
  return [
    operation({
      ...common,
      name: 'listActorKeys',
      method: 'GET',
      path: '/actors/:id/keys',
      summary: 'The public keys of an actor, also those that have ended',
      access: { resource, verb: 'get', id: 'id' },
      params: id,
      status: 200,
      query: listQuery({}),
      result: listOf(actorKeySchema),
      errors: ['actor_not_found', 'cursor_invalid', 'list_order_invalid'],
      handle: async ({ params, query, caller }) => ({
        body: pageAnswer(await actorKeys.list(params.id, pageRequest(query), caller.by), shown),
      }),
    }),
    operation({
      ...common,
      name: 'addActorKey',
      method: 'POST',
      path: '/actors/:id/keys',
      summary: 'Adds a key to an actor, or rotates to it',
      access: { resource, verb: 'update', id: 'id' },
      params: id,
      body: z.strictObject({
        public_key: z.string().min(1).max(65_536).describe('An OpenSSH line, PEM, or a JWK as text.'),
        name: z.string().min(1).max(256).optional(),
        expires_at: z.iso.datetime({ offset: true }).optional(),
        expire_others_after: z.int().min(0).max(31_536_000).optional().describe('Ends the other keys in so many seconds.'),
      }),
      status: 201,
      result: actorKeySchema,
      errors: ['actor_not_found', 'actor_key_invalid', 'actor_key_exists', 'actor_key_not_allowed', 'grant_exceeds_granter'],
      idempotencyKey: true,
      handle: async ({ params, body: { public_key, name: keyName, expires_at, expire_others_after }, caller }) => {
        const key = {
          public_key,
          ...(keyName === undefined ? {} : { name: keyName }),
          ...(expires_at === undefined ? {} : { expires_at: Date.parse(expires_at) }),
          ...(expire_others_after === undefined ? {} : { expire_others_after }),
        };
        return { body: shown(await actorKeys.add(params.id, key, caller.by)) };
      },
    }),
    operation({
      ...common,
      name: 'revokeActorKey',
      method: 'DELETE',
      path: '/actors/:id/keys/:key_id',
      summary: 'Ends a key at once',
      access: { resource, verb: 'update', id: 'id' },
      params: id.extend({ key_id: z.string().max(128) }),
      status: 204,
      errors: ['actor_not_found', 'actor_key_not_found'],
      handle: async ({ params, caller }) => {
        await actorKeys.revoke(params.id, params.key_id, caller.by);
        return {};
      },
    }),
  ];
}

function readPermissions(given: z.output<typeof permissionsInput> | undefined) {
  return given === undefined ? undefined : parsePermissions(given, permissionTemplateSchema);
}
