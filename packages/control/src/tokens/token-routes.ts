import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { parsePermissions } from '../permissions/permission.js';
import { permissionsInput } from '../permissions/permission-routes.js';
import { timeSchema, timeText } from '../server/list-schemas.js';
import { type Operation, operation } from '../server/operation.js';
import type { TokenMint } from './mint-token.js';

/** What the operation works with. */
export interface TokenRoutes {
  readonly tokens: Pick<TokenMint, 'narrow'>;
}

const tokenSchema = z
  .object({ token: z.string().describe('Shown this once.'), jti: z.string(), expires_at: timeSchema })
  .meta({ id: 'MintedToken', description: 'A token for the actor that asked, with no more rights than the one it asked with.' });

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
        permissions: permissionsInput.optional().describe('The same as the token that it is asked with when left out.'),
        audiences: z
          .array(z.enum(['public', 'api', 'admin-api']))
          .min(1)
          .max(3),
        lifetime: z.int().min(1).max(31_536_000).describe('Seconds; at most what is configured, and what is left of a token that limits itself.'),
        single_use: z.boolean().optional(),
      }),
      status: 201,
      result: tokenSchema,
      errors: ['token_request_invalid', 'permission_invalid', 'grant_exceeds_granter'],
      handle: async ({ body: { permissions, audiences, lifetime, single_use: singleUse = false }, caller: { shown } }) => {
        if (shown.kind !== 'token') throw new SallyportError('token_request_invalid', { detail: 'A token is made with a token, not in a session' });
        const limit = permissions === undefined ? {} : { permissions: parsePermissions(permissions) };
        const { actor, authority, token } = shown;
        const minted = await tokens.narrow({ kind: 'actor', actor, authority, token }, { audiences, lifetime, singleUse, ...limit });
        return { body: { token: minted.token.reveal(), jti: minted.jti, expires_at: timeText(minted.expires * 1000) } };
      },
    }),
  ];
}
