import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { Actors } from '../actors/actors.js';
import { type Operation, operation } from '../server/operation.js';
import type { PermissionRequest } from './permission.js';

/** What the operation works with. */
export interface PermissionRoutes {
  readonly actors: Pick<Actors, 'get' | 'authority'>;
}

const permission = z
  .object({
    namespace: z.string(),
    resources: z.array(z.string()),
    verbs: z.array(z.string()),
    resource_ids: z.array(z.string()).optional(),
    methods: z.array(z.string()).optional(),
    paths: z.array(z.string()).optional(),
  })
  .meta({ id: 'Permission', description: 'One rule of what is allowed.' });

const verdicts = z.object({
  allowed: z.boolean(),
  allowed_by: z.int().optional().describe('The first entry that allows it.'),
  reason: z.string(),
  entries: z.array(z.object({ index: z.int(), permission, allows: z.boolean(), mismatches: z.array(z.string()), reason: z.string() })),
});

const explanation = z
  .object({ allowed: z.boolean(), actor: verdicts, token: verdicts.optional().describe('What the token that limits itself says.') })
  .meta({ id: 'PermissionExplanation', description: 'Why something is allowed or not, entry by entry.' });

/** `GET /permissions/explain`. */
export function permissionOperations({ actors }: PermissionRoutes): readonly Operation[] {
  return [
    operation({
      name: 'explainPermission',
      method: 'GET',
      path: '/permissions/explain',
      services: ['public', 'api', 'admin-api'],
      tag: 'permissions',
      summary: 'Why something is allowed or denied: to the caller, or to an actor that the caller may read',
      access: 'authenticated',
      query: z.strictObject({
        namespace: z.string().min(1).max(1024),
        resource: z.string().min(1).max(256),
        verb: z.string().min(1).max(256),
        resource_id: z.string().min(1).max(1024).optional(),
        method: z.string().min(1).max(32).optional().describe('Of a request that is sent through a connection; goes with `request_path`.'),
        request_path: z.string().startsWith('/').max(8192).optional(),
        actor_id: z.string().max(128).optional().describe('The caller when left out.'),
      }),
      status: 200,
      result: explanation,
      errors: ['actor_not_found'],
      handle: async ({ query: { actor_id: actorId, ...asked }, caller }) => {
        const authority = actorId === undefined ? caller.by.authority : actors.authority(await actors.get(actorId, caller.by));
        return { body: explanation.parse(authority.explain(requestOf(asked))) };
      },
    }),
  ];
}

interface Asked {
  readonly namespace: string;
  readonly resource: string;
  readonly verb: string;
  readonly resource_id?: string | undefined;
  readonly method?: string | undefined;
  readonly request_path?: string | undefined;
}

function requestOf({ namespace, resource, verb, resource_id, method, request_path: path }: Asked): PermissionRequest {
  if ((method === undefined) !== (path === undefined)) {
    throw new SallyportError('request_invalid', { detail: 'query: `method` and `request_path` go together', members: { issues: [] } });
  }
  return {
    ...{ namespace, resource, verb },
    ...(resource_id === undefined ? {} : { resource_id }),
    ...(method === undefined || path === undefined ? {} : { proxied: { method, path } }),
  };
}

/** Permissions as they come in. Checked in full, and refused with `permission_invalid`, by the service. */
export const permissionsInput = z.array(permission).max(256);

/** Permissions as they are shown. */
export const permissionsShown = z.array(permission);
