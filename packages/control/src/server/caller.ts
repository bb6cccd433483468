import type { Actor, Requester } from '../actors/actor.js';
import type { Authentication, TokenCarrier } from '../tokens/authenticate.js';
import type { VerifiedToken } from '../tokens/verify-token.js';

/** Who calls: an actor, and by what it showed who it is. */
export interface Caller {
  readonly actor: Actor;
  /** In whose name changes are made, and what may be done. */
  readonly by: Requester;
  /** By a token, or by a session. */
  readonly token: VerifiedToken | undefined;
  readonly session: CallerSession | undefined;
}

/** The session of a caller that came with a cookie. */
export interface CallerSession {
  readonly id: string;
}

/** Says who calls a service; null is nobody, which only a request is that shows nothing at all. Rejects when what it shows does not hold. */
export type IdentifyCaller = (
  shown: TokenCarrier & { readonly cookie?: string | undefined },
  context: { readonly service: string; readonly requestId: string; readonly signal: AbortSignal },
) => Promise<Caller | null>;

/** The caller that a token has shown. */
export function callerOf(authentication: Authentication, requestId: string): Caller | null {
  if (authentication.kind === 'anonymous') return null;
  const { actor, authority, token } = authentication;
  return { actor, by: { context: { actorId: actor.id, requestId }, authority }, token, session: undefined };
}
