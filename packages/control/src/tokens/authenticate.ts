import { SallyportError } from '@sallyport/sdk';
import type { Actor } from '../actors/actor.js';
import type { ActorSources } from '../actors/actor-sources.js';
import type { Actors } from '../actors/actors.js';
import type { Authority } from '../permissions/authority.js';
import { invalidToken } from './compact.js';
import type { VerifiedToken, VerifyToken } from './verify-token.js';

/** Who is calling: an actor with what it may do under its token, or nobody, which only a request without any token is. */
export type Authentication =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'actor'; readonly actor: Actor; readonly authority: Authority; readonly token: VerifiedToken };

/** Where a request may carry its token. */
export interface TokenCarrier {
  /** The Authorization field. */
  readonly authorization?: string | undefined;
  /** The query parameter `auth_token`. */
  readonly auth_token?: string | undefined;
}

export interface AuthenticatorOptions {
  readonly verify: VerifyToken;
  readonly actors: Pick<Actors, 'find' | 'authority'>;
  readonly sources: Pick<ActorSources, 'define'>;
  /** Whether the session of this id has not ended. */
  readonly sessions: { lasts(id: string): Promise<boolean> };
}

/**
 * Makes the function that says who is calling. A token that is there and does not hold is always an error, never «nobody»: also an Authorization
 * field of another scheme, an empty one, and two tokens at once. A token of this system holds for the actor that it was made for, as long as the
 * tokens of the actor are not ended and the session lasts that it was made in.
 */
export function createAuthenticator({ verify, actors, sources, sessions }: AuthenticatorOptions) {
  return async (carrier: TokenCarrier, audience: string, signal?: AbortSignal): Promise<Authentication> => {
    const text = tokenOf(carrier);
    if (text === undefined) return { kind: 'anonymous' };
    const token = await verify(text, audience, signal);
    const actor = token.definition === undefined ? await actors.find(token.namespace, token.external_id) : await defined(token, token.definition);
    if (actor === undefined) throw invalidToken('its actor does not exist');
    if (token.system !== undefined) await requireBinding(token.system, actor);
    return { kind: 'actor', actor, token, authority: actors.authority(actor, token.restriction) };
  };

  async function requireBinding(
    { actor_id: id, generation, session_id: session }: NonNullable<VerifiedToken['system']>,
    actor: Actor,
  ): Promise<void> {
    // Another actor of this name is not told from none.
    if (id !== actor.id) throw invalidToken('its actor does not exist');
    if (generation !== actor.token_generation) throw invalidToken('the tokens of its actor were ended');
    if (session !== undefined && !(await sessions.lasts(session))) throw invalidToken('the session that it was made in has ended');
  }

  async function defined(token: VerifiedToken, { actor, within }: NonNullable<VerifiedToken['definition']>): Promise<Actor> {
    try {
      return await sources.define(token, actor, within, 'token');
    } catch (error) {
      // What is wrong with the description is wrong with the token; anything else is trouble of ours and stays what it is.
      if (error instanceof SallyportError && error.status >= 400 && error.status < 500) {
        throw new SallyportError('token_invalid', { detail: `The token is not accepted: ${error.message}`, cause: error });
      }
      throw error;
    }
  }
}

function tokenOf({ authorization, auth_token: parameter }: TokenCarrier): string | undefined {
  if (authorization === undefined) return parameter;
  if (parameter !== undefined) throw invalidToken('there are two of them');
  const [, token] = /^Bearer +([^ ]+) *$/i.exec(authorization) ?? [];
  if (token === undefined) throw invalidToken('the Authorization field is not of the form `Bearer TOKEN`');
  return token;
}
