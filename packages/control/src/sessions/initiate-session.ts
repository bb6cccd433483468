import { SallyportError } from '@sallyport/sdk';
import type { Json } from '../database/canonical-json.js';
import type { Caller } from './identify-caller.js';
import type { ReturnUrls } from './return-url.js';
import type { AuthenticatedSession, OpenedSession } from './session.js';
import type { NewSession, Sessions } from './sessions.js';

/** What a web app is told about itself: a JSON object. Everybody who is signed in may read it. */
export type WebAppConfiguration = { readonly [name: string]: Json };

export interface InitiationOptions {
  readonly service: string;
  readonly sessions: Pick<Sessions, 'open'>;
  readonly returnUrls: ReturnUrls;
  /** Where people sign in: a URL of the host, or of a sign-in of this service. Undefined where they have to choose first. */
  readonly initiateSessionUrl: string | undefined;
  /** What the web app is told about itself. */
  readonly configuration: () => WebAppConfiguration | Promise<WebAppConfiguration>;
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
  readonly configuration: WebAppConfiguration;
}

/**
 * Makes what answers `POST /session/_initiate`. Without session and token: `session_required`, whose member `redirect_url` leads to the host and back to
 * the return URL. With a token: a new session, limited as the token is, and the one that the browser had before ends, whosever it was. With a session: that one.
 *
 * The token has to be one that counts once (`session_token_reusable`): it comes along in a URL, and a token that was read from a log, a history or a
 * program that holds it for its own calls is not to become somebody's browser.
 *
 * The `exp` of a token does not bound the session, because the token of a hand-off lives for seconds; but a token that this system made for somebody
 * to hold for a time does not turn into a session that lasts longer.
 */
export function createInitiation({ service, sessions, returnUrls, initiateSessionUrl, configuration }: InitiationOptions) {
  return async ({ caller, returnUrl, client, requestId }: InitiationRequest): Promise<Initiation> => {
    // Whoever asks: also who is signed in already is sent back there by the web app.
    const back = returnUrl === undefined ? undefined : returnUrls.require(returnUrl);
    if (caller.kind === 'anonymous') {
      const members = initiateSessionUrl === undefined ? {} : { redirect_url: withReturnUrl(initiateSessionUrl, back) };
      throw new SallyportError('session_required', { members });
    }
    // Before the session is made: a session whose cookie is never written would be in nobody's hand.
    const told = await configuration();
    if (caller.kind === 'session') return { current: caller, opened: undefined, configuration: told };
    const { actor, token, beside, displaced } = caller;
    if (!token.single_use) throw new SallyportError('session_token_reusable');
    const notAfter = token.signer === 'system' ? token.expires * 1000 : undefined;
    const made = { actor, service, restriction: token.restriction, signedInBy: 'token', notAfter, replaces: beside ?? displaced, client };
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
