import { z } from 'zod';
import { parsePermissions } from '../permissions/permission.js';
import { permissionsInput } from '../permissions/permission-routes.js';
import type { Caller } from '../server/caller.js';
import { timeSchema, timeText } from '../server/list-schemas.js';
import { type Operation, operation } from '../server/operation.js';
import type { Grantor, NarrowerTokens } from './narrower-tokens.js';

/** What the operation works with. */
export interface TokenRoutes {
  readonly tokens: NarrowerTokens;
}

const tokenSchema = z
  .object({ token: z.string().describe('Shown this once.'), jti: z.string(), expires_at: timeSchema })
  .meta({ id: 'MintedToken', description: 'A token for the actor that asked, with no more rights than the token or the session it asked with.' });

/** `POST /tokens`: what an actor gives to an agent. */
export function tokenOperations({ tokens }: TokenRoutes): readonly Operation[] {
  return [
    operation({
      name: 'createToken',
      method: 'POST',
      path: '/tokens',
      services: ['api', 'admin-api'],
      tag: 'tokens',
      summary: "A narrower token for the caller's own actor, down to connections, methods and paths",
      access: 'authenticated',
      body: z.strictObject({
        permissions: permissionsInput.optional().describe('The same as the token or the session that it is asked with when left out.'),
        audiences: z
          .array(z.enum(['public', 'api', 'admin-api']))
          .min(1)
          .max(3),
        lifetime: z
          .int()
          .min(1)
          .max(31_536_000)
          .describe(
            'Seconds; at most what is configured, and what is left of the token or the session, unless the actor has signed the token itself, for any use.',
          ),
        single_use: z.boolean().optional(),
      }),
      status: 201,
      result: tokenSchema,
      errors: ['token_request_invalid', 'permission_invalid', 'grant_exceeds_granter'],
      handle: async ({ body: { permissions, audiences, lifetime, single_use: singleUse = false }, caller }) => {
        const limit = permissions === undefined ? {} : { permissions: parsePermissions(permissions) };
        const minted = await tokens.narrow(grantorOf(caller), { audiences, lifetime, singleUse, ...limit }, caller.by.context);
        return { body: { token: minted.token.reveal(), jti: minted.jti, expires_at: timeText(minted.expires * 1000) } };
      },
    }),
  ];
}

/** What bounds a caller: only the key of the actor, used as such, is not bounded by the end of what was shown. */
function grantorOf({ shown }: Caller): Grantor {
  const { actor, authority } = shown;
  if (shown.kind === 'session') {
    const { id, service, expires_at: ends } = shown.session;
    return { actor, authority, audiences: [service], session: id, notAfter: Math.floor(ends / 1000) };
  }
  const { audiences, restriction, expires, signer, single_use: singleUse, system } = shown.token;
  // What somebody else signed, or what counts once, may have been taken from whoever it was meant for.
  const ofKey = signer === 'actor' && !singleUse && restriction === undefined;
  return { actor, authority, audiences, session: system?.session_id, notAfter: ofKey ? undefined : expires };
}
