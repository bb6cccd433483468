import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { type Operation, operation } from '../server/operation.js';
import { errorOf } from '../server/problem-answers.js';
import type { Initiation, InitiationRequest } from './initiate-session.js';
import type { ReturnUrls } from './return-url.js';
import type { OpenedSession } from './session.js';
import type { ServiceCookie } from './session-cookie.js';
import { currentSession, sessionSchema, shownSession } from './session-schema.js';
import type { Sessions } from './sessions.js';

/** How the operations reach the browsers of one service. */
interface SessionBrowsers {
  readonly cookie: ServiceCookie;
  readonly returnUrls: ReturnUrls;
  readonly initiate: (request: InitiationRequest) => Promise<Initiation>;
  /** Where the person signs out with the identity provider too. */
  readonly signIn: { logoutUrl(signedInBy: string, returnUrl: string | undefined, signal: AbortSignal): Promise<string | undefined> };
}

/** What the operations on the session of the caller work with. */
export interface SessionRoutes {
  readonly sessions: Sessions;
  /** By service. One that is not there has no sessions: its operations are `not_found`. */
  readonly browsers: ReadonlyMap<string, SessionBrowsers>;
}

const returnUrl = z.string().max(2048);

/** `/session`: signing in with the token of the host, signing out, and who is signed in. */
export function sessionOperations({ sessions, browsers }: SessionRoutes): readonly Operation[] {
  const common = { services: ['public', 'admin-api'], tag: 'sessions', status: 200 } as const;

  function browsersOf(service: string): SessionBrowsers {
    const found = browsers.get(service);
    if (found === undefined) throw new SallyportError('not_found');
    return found;
  }

  return [
    operation({
      ...common,
      name: 'initiateSession',
      method: 'POST',
      path: '/session/_initiate',
      summary: 'The session of the browser: the one it has, or a new one for the token that the host has sent along',
      description:
        'Nobody is signed in: 401 with `redirect_url`, where the host signs the person in and sends the browser back with a token that counts once. ' +
        'The answer has the XSRF token for what follows.',
      access: 'anyone',
      // Who plants a session must have a token of its own; that pages of other origins cannot call this is up to CORS.
      withoutXsrf: true,
      body: z.strictObject({ return_to_url: returnUrl.optional().describe('Where the browser comes back to; one of those that are allowed.') }),
      result: z.object({
        actor_id: z.string(),
        session: sessionSchema,
        configuration: z.record(z.string(), z.unknown()).describe('What the web app is told about itself.'),
      }),
      errors: ['session_required', 'session_token_reusable', 'return_url_not_allowed', 'token_invalid', 'token_replayed'],
      handle: async ({ service, body, caller, requestId, address, header }) => {
        const { cookie, initiate } = browsersOf(service);
        const { current, opened, configuration } = await initiate({
          caller: caller?.shown ?? { kind: 'anonymous' },
          returnUrl: body.return_to_url,
          client: { address, userAgent: header('user-agent') },
          requestId,
        });
        const session = shownSession(current.session, { shown: { kind: 'session', ...current } });
        const answer = { actor_id: current.actor.id, session, configuration: { ...configuration } };
        return { body: answer, headers: opened === undefined ? {} : sessionFields(cookie, opened) };
      },
    }),
    operation({
      ...common,
      name: 'terminateSession',
      method: 'POST',
      path: '/session/_terminate',
      summary: 'Ends the session of the browser and takes its cookie away; without one nothing happens',
      access: 'anyone',
      query: z.strictObject({ return_to_url: returnUrl.optional().describe('Where the identity provider is to send the browser afterwards.') }),
      result: z.object({ logout_url: z.string().optional().describe('Where the person signs out with the identity provider too.') }),
      errors: ['return_url_not_allowed', 'xsrf_token_missing', 'xsrf_token_invalid'],
      handle: async ({ service, query, caller, signal }) => {
        const { cookie, returnUrls, signIn } = browsersOf(service);
        const back = query.return_to_url === undefined ? undefined : returnUrls.require(query.return_to_url);
        const headers = { 'set-cookie': cookie.clear() };
        const session = caller === null ? undefined : currentSession(caller);
        if (caller === null || session === undefined) return { body: {}, headers };
        await sessions.end(session, caller.by.context);
        try {
          const url = await signIn.logoutUrl(session.signed_in_by, back, signal);
          return { body: url === undefined ? {} : { logout_url: url }, headers };
        } catch (error) {
          // The person is signed out here, whether or not the provider can be reached.
          return { body: {}, headers, failure: errorOf(error) };
        }
      },
    }),
    operation({
      ...common,
      name: 'getSession',
      method: 'GET',
      path: '/session',
      summary: 'The session of the browser; the answer has a fresh XSRF token',
      access: 'authenticated',
      result: sessionSchema,
      errors: ['session_not_found'],
      handle: async ({ caller }) => {
        if (caller.shown.kind !== 'session') throw new SallyportError('session_not_found');
        return { body: shownSession(caller.shown.session, caller) };
      },
    }),
  ];
}

/** The fields of an answer that hands a new session to its browser. */
export function sessionFields(cookie: ServiceCookie, { session, cookie: value, xsrf }: OpenedSession): Readonly<Record<string, string>> {
  const lifetime = session.expires_at - session.created_at;
  return { 'set-cookie': cookie.write(value.reveal(), lifetime), 'x-xsrf-token': xsrf.token.reveal() };
}
