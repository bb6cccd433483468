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
      /** The session of another actor that came along: it stays as it is, unless the token begins one in its place. */
      readonly displaced: Session | undefined;
    };

/** What a request may bring along. */
export interface Credentials extends TokenCarrier {
  /** The value of the session cookie of the service. */
  readonly session?: string | undefined;
}

interface CallerOptions {
  readonly authenticate: (carrier: TokenCarrier, audience: string, signal?: AbortSignal) => Promise<Authentication>;
  readonly sessions: Pick<Sessions, 'authenticate'>;
}

/** The caller, and whether the browser is to forget its cookie because it stands for no session. */
export interface IdentifiedCaller {
  readonly caller: Caller;
  readonly forgetCookie: boolean;
}

/**
 * Makes the function that says who is calling, by token or by session. The token decides: one that does not hold is an error whatever session comes
 * along, and a session of somebody else than the token names counts for nothing and is left alone, because any page can send a browser here with a
 * token of its own. A cookie that stands for no session is no error.
 */
export function createCallerIdentification({ authenticate, sessions }: CallerOptions) {
  return async (credentials: Credentials, service: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<IdentifiedCaller> => {
    const { session: cookie, ...carrier } = credentials;
    const byToken = await authenticate(carrier, service, signal);
    const bySession = await sessions.authenticate(cookie, service);
    const forgetCookie = cookie !== undefined && bySession === undefined;
    if (byToken.kind === 'anonymous') {
      return { caller: bySession === undefined ? { kind: 'anonymous' } : { kind: 'session', ...bySession }, forgetCookie };
    }
    const { actor, authority, token } = byToken;
    const own = bySession?.actor.id === actor.id;
    const [beside, displaced] = own ? [bySession?.session, undefined] : [undefined, bySession?.session];
    return { caller: { kind: 'token', actor, authority, token, beside, displaced }, forgetCookie };
  };
}
