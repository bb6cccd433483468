import type { Actor } from '../actors/actor.js';
import type { Authority } from '../permissions/authority.js';
import type { Authentication, TokenCarrier } from '../tokens/authenticate.js';
import type { VerifiedToken } from '../tokens/verify-token.js';
import type { AuthenticatedSession, Session } from './session.js';
import type { Sessions } from './sessions.js';

/** Who sends a request, and by what. What a session authenticates needs an XSRF token, see `requireXsrf`; what a token authenticates does not. */
export type Caller =
  | { readonly kind: 'anonymous' }
  | ({ readonly kind: 'session' } & AuthenticatedSession)
  | {
      readonly kind: 'token';
      readonly actor: Actor;
      readonly authority: Authority;
      readonly token: VerifiedToken;
      /** The session of the same actor that came along with the token, and counts for nothing beside it. */
      readonly beside: Session | undefined;
    };

/** What a request may bring along. */
export interface Credentials extends TokenCarrier {
  /** The value of the session cookie of the service. */
  readonly session?: string | undefined;
}

interface CallerOptions {
  readonly authenticate: (carrier: TokenCarrier, audience: string, signal?: AbortSignal) => Promise<Authentication>;
  readonly sessions: Pick<Sessions, 'authenticate' | 'end'>;
}

/** The caller, and whether the browser is to forget its cookie because it stands for no session. */
export interface IdentifiedCaller {
  readonly caller: Caller;
  readonly forgetCookie: boolean;
}

/**
 * Makes the function that says who is calling, by token or by session. The token decides: one that does not hold is an error whatever session comes
 * along, and a session of somebody else than the token names is ended. A cookie that stands for no session is no error.
 */
export function createCallerIdentification({ authenticate, sessions }: CallerOptions) {
  return async (
    credentials: Credentials,
    service: string,
    who: { readonly requestId?: string; readonly signal?: AbortSignal } = {},
  ): Promise<IdentifiedCaller> => {
    const { session: cookie, ...carrier } = credentials;
    const byToken = await authenticate(carrier, service, who.signal);
    const bySession = await sessions.authenticate(cookie, service);
    const forgetCookie = cookie !== undefined && bySession === undefined;
    if (byToken.kind === 'anonymous') {
      return { caller: bySession === undefined ? { kind: 'anonymous' } : { kind: 'session', ...bySession }, forgetCookie };
    }
    const { actor, authority, token } = byToken;
    if (bySession === undefined || bySession.actor.id === actor.id) {
      return { caller: { kind: 'token', actor, authority, token, beside: bySession?.session }, forgetCookie };
    }
    await sessions.end(bySession.session, 'conflict', { actorId: actor.id, requestId: who.requestId });
    return { caller: { kind: 'token', actor, authority, token, beside: undefined }, forgetCookie: true };
  };
}
