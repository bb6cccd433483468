import { z } from 'zod';
import { authorityOf } from '../permissions/authority.js';
import { type Permissions, permissionsOf } from '../permissions/permission.js';
import type { Caller } from '../server/caller.js';
import { listOf, listQuery, pageAnswer, pageRequest } from '../server/list-schemas.js';
import { type Operation, operation } from '../server/operation.js';
import type { ServiceCookie } from './session-cookie.js';
import { currentSession, sessionSchema, shownSession } from './session-schema.js';
import type { Sessions } from './sessions.js';

/** What the operations on all sessions work with. */
export interface SessionListRoutes {
  readonly sessions: Sessions;
  /** By service. */
  readonly browsers: ReadonlyMap<string, { readonly cookie: ServiceCookie }>;
}

const resource = 'sessions';
const id = z.object({ id: z.string().max(128) });

/** `/sessions`, those of an actor, and `/me/sessions`. */
export function sessionListOperations({ sessions, browsers }: SessionListRoutes): readonly Operation[] {
  const common = { services: ['api', 'admin-api'], tag: resource } as const;
  return [
    operation({
      ...common,
      name: 'listSessions',
      method: 'GET',
      path: '/sessions',
      summary: 'The sessions that have not ended and that the caller may see',
      access: { resource, verb: 'list' },
      query: listQuery({
        namespace: z.string().max(1024).optional().describe('A path, or `path.**` with everything below it.'),
        actor_id: z.string().max(128).optional(),
        service: z.enum(['public', 'admin-api']).optional(),
      }),
      status: 200,
      result: listOf(sessionSchema),
      errors: ['cursor_invalid', 'list_order_invalid', 'namespace_path_invalid'],
      handle: async ({ query, caller }) => {
        const page = await sessions.list(pageRequest(query), caller.by);
        return { body: pageAnswer(page, (session) => shownSession(session, caller)) };
      },
    }),
    operation({
      ...common,
      name: 'revokeSession',
      method: 'DELETE',
      path: '/sessions/:id',
      summary: 'Ends a session at once',
      access: { resource, verb: 'revoke', id: 'id' },
      params: id,
      status: 204,
      errors: ['session_not_found'],
      handle: async ({ params, caller }) => {
        await sessions.revoke(params.id, caller.by);
        return {};
      },
    }),
    operation({
      ...common,
      name: 'revokeSessionsOfActor',
      method: 'POST',
      path: '/actors/:id/sessions/_revoke',
      summary: 'Ends all sessions of an actor at once',
      access: { resource, verb: 'revoke' },
      params: id,
      status: 200,
      result: z.object({ revoked: z.int().describe('How many there were.') }),
      errors: ['actor_not_found'],
      handle: async ({ params, caller }) => ({ body: { revoked: await sessions.revokeAll(params.id, caller.by) } }),
    }),
    operation({
      ...common,
      name: 'listOwnSessions',
      services: ['public', 'api', 'admin-api'],
      method: 'GET',
      path: '/me/sessions',
      summary: 'The sessions of the caller at all services',
      access: 'authenticated',
      query: listQuery({}),
      status: 200,
      result: listOf(sessionSchema),
      errors: ['cursor_invalid', 'list_order_invalid'],
      handle: async ({ query, caller }) => {
        requireWhole(caller, 'list');
        const page = await sessions.listOwn(caller, pageRequest(query));
        return { body: pageAnswer(page, (session) => shownSession(session, caller)) };
      },
    }),
    operation({
      ...common,
      name: 'revokeOwnSession',
      services: ['public', 'api', 'admin-api'],
      method: 'DELETE',
      path: '/me/sessions/:id',
      summary: 'Ends a session of the caller at once',
      access: 'authenticated',
      params: id,
      status: 204,
      errors: ['session_not_found'],
      handle: async ({ params, caller, service }) => {
        const own = currentSession(caller)?.id === params.id;
        if (!own) requireWhole(caller, 'revoke');
        await sessions.revokeOwn(caller, params.id, caller.by.context);
        const cookie = own ? browsers.get(service)?.cookie : undefined;
        return cookie === undefined ? {} : { headers: { 'set-cookie': cookie.clear() } };
      },
    }),
  ];
}

/**
 * One's sessions are one's own, whatever permissions one has. But who was handed a part of what somebody may do, as an agent is with a narrow token,
 * is not that person: that part has to name sessions.
 */
function requireWhole({ actor, shown }: Caller, verb: string): void {
  const restriction = restrictionOf(shown);
  if (restriction !== undefined) authorityOf(restriction).require({ namespace: actor.namespace, resource, verb });
}

function restrictionOf(shown: Caller['shown']): Permissions | undefined {
  if (shown.kind === 'token') return shown.token.restriction;
  const { permissions } = shown.session;
  return permissions === null ? undefined : permissionsOf(permissions);
}
