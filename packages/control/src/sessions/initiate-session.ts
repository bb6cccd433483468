import { SallyportError } from '@sallyport/sdk';
import type { Json } from '../database/canonical-json.js';
import type { Caller } from './identify-caller.js';
import type { ReturnUrls } from './return-url.js';
import type { AuthenticatedSession, OpenedSession } from './session.js';
import type { NewSession, Sessions } from './sessions.js';

export interface InitiationOptions {
  readonly service: string;
  readonly sessions: Pick<Sessions, 'open'>;
  readonly returnUrls: ReturnUrls;
  /** Where the host signs its people in: an absolute URL, or the path of a sign-in of this service. */
  readonly initiateSessionUrl: string;
  /** What the web app is told about itself. */
  readonly configuration: () => Json | Promise<Json>;
}

/** What `_initiate` is called with. */
export interface InitiationRequest {
  readonly caller: Caller;
  /** The member `return_to_url` of the body. */
  readonly returnUrl: string | undefined;
  readonly client?: NewSession['client'];
  readonly requestId?: string | undefined;
}

/** A session and what the web app is told. */
export interface Initiation {
  readonly current: AuthenticatedSession;
  /** There when the session is new: its cookie has to be written. */
  readonly opened: OpenedSession | undefined;
  readonly configuration: Json;
}

/**
 * Makes what answers `POST /session/_initiate`. Without session and token: `session_required`, whose member `redirect_url` leads to the host and back to
 * the return URL. With a token: a new session, limited as the token is, and the one that the browser had before ends. With a session: that one.
 *
 * The `exp` of a token does not bound the session, because the token of a hand-off lives for seconds; but a token that this system made for somebody
 * to hold for a time does not turn into a session that lasts longer.
 */
export function createInitiation({ service, sessions, returnUrls, initiateSessionUrl, configuration }: InitiationOptions) {
  return async ({ caller, returnUrl, client, requestId }: InitiationRequest): Promise<Initiation> => {
    // Whoever asks: also who is signed in already is sent back there by the web app.
    const back = returnUrl === undefined ? undefined : returnUrls.require(returnUrl);
    if (caller.kind === 'anonymous') {
      throw new SallyportError('session_required', { members: { redirect_url: withReturnUrl(initiateSessionUrl, back) } });
    }
    // Before the session is made: a session whose cookie is never written would be in nobody's hand.
    const told = await configuration();
    if (caller.kind === 'session') return { current: caller, opened: undefined, configuration: told };
    const { actor, token, beside } = caller;
    const notAfter = token.signer === 'system' ? token.expires * 1000 : undefined;
    const made = { actor, service, restriction: token.restriction, signedInBy: 'token', notAfter, replaces: beside, client };
    const opened = await sessions.open(made, requestId);
    return { current: opened, opened, configuration: told };
  };
}

/** The URL with the return URL as `return_to_url`; what it has of a query stays. */
function withReturnUrl(url: string, back: string | undefined): string {
  if (back === undefined) return url;
  const [, start = url, fragment = ''] = /^([^#]*)(#.*)?$/s.exec(url) ?? [];
  return `${start}${start.includes('?') ? '&' : '?'}return_to_url=${encodeURIComponent(back)}${fragment}`;
}
