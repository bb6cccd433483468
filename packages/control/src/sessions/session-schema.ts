import { z } from 'zod';
import { permissionsShown } from '../permissions/permission-routes.js';
import type { Caller } from '../server/caller.js';
import { timeSchema, timeText } from '../server/list-schemas.js';
import type { Session } from './session.js';

/** A session as the API shows it. */
export const sessionSchema = z
  .object({
    id: z.string(),
    service: z.string().describe('Good at this service and at no other.'),
    actor_id: z.string(),
    namespace: z.string(),
    permissions: permissionsShown.nullable().describe('What the session is limited to; null when it is not.'),
    signed_in_by: z.string().describe('`token`, or `oidc:` and the name of the provider.'),
    address: z.string().nullable(),
    user_agent: z.string().nullable(),
    created_at: timeSchema,
    seen_at: timeSchema.describe('When it was last used, roughly.'),
    ends_at: timeSchema.describe('When it ends if it is not used again.'),
    expires_at: timeSchema.describe('When it ends however much it is used.'),
    current: z.boolean().describe('Whether it is the one of this request.'),
  })
  .meta({ id: 'Session', description: 'Somebody signed in to one service with one browser.' });

/** A session as this caller is shown it. */
export function shownSession(session: Session, caller: Pick<Caller, 'shown'>): z.input<typeof sessionSchema> {
  const { permissions, created_at, seen_at, ends_at, expires_at, ...rest } = session;
  return {
    ...rest,
    permissions: permissions === null ? null : permissions.map((entry) => z.parse(permissionsShown.element, entry)),
    ...{ created_at: timeText(created_at), seen_at: timeText(seen_at), ends_at: timeText(ends_at), expires_at: timeText(expires_at) },
    current: currentSession(caller)?.id === session.id,
  };
}

/** The session that the browser of a request has, also when it came with a token beside it. */
export function currentSession({ shown }: Pick<Caller, 'shown'>): Session | undefined {
  return shown.kind === 'session' ? shown.session : shown.beside;
}
