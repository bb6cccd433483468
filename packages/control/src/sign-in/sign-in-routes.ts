import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { type Operation, operation } from '../server/operation.js';
import { errorOf } from '../server/problem-answers.js';
import { sessionFields } from '../sessions/session-routes.js';
import { currentSession } from '../sessions/session-schema.js';
import type { BrowserService } from './browser-service.js';

/** What the operations that sign people in work with. */
export interface SignInRoutes {
  /** By service. One that is not there signs nobody in: its operations are `not_found`. */
  readonly browsers: ReadonlyMap<string, BrowserService>;
}

const provider = z.object({ provider: z.string().max(64) });
const texts = z.union([z.string(), z.array(z.string())]).optional();

/** `/sign-in`: people come from an identity provider. Browsers are sent here, so the answers send them on. */
export function signInOperations({ browsers }: SignInRoutes): readonly Operation[] {
  const common = { services: ['public', 'admin-api'], tag: 'sign-in', method: 'GET', access: 'anyone' } as const;

  function browsersOf(service: string): BrowserService {
    const found = browsers.get(service);
    if (found === undefined) throw new SallyportError('not_found');
    return found;
  }

  return [
    operation({
      ...common,
      name: 'listSignInProviders',
      path: '/sign-in/providers',
      summary: 'The identity providers that people can sign in with',
      status: 200,
      result: z.object({ items: z.array(z.object({ name: z.string().describe('For `/sign-in/NAME`.') })) }),
      handle: async ({ service }) => ({ body: { items: browsersOf(service).signIn.providers.map((name) => ({ name })) } }),
    }),
    operation({
      ...common,
      name: 'beginSignIn',
      path: '/sign-in/:provider',
      summary: 'Sends the browser to an identity provider',
      description: 'When the provider cannot be reached, the browser is sent to `return_to_url` with `error`.',
      params: provider,
      query: z.strictObject({
        return_to_url: z.string().max(2048).optional().describe('Where the browser goes when the person is signed in; the front page when left out.'),
      }),
      status: 302,
      errors: ['sign_in_provider_unknown', 'return_url_not_allowed'],
      handle: async ({ service, params, query, signal }) => {
        const { signIn, returnUrls, frontPage } = browsersOf(service);
        const back = returnUrls.require(query.return_to_url ?? frontPage);
        try {
          const { redirectUrl, setCookie } = await signIn.begin(params.provider, back, signal);
          return { headers: { location: redirectUrl, 'set-cookie': setCookie } };
        } catch (error) {
          return sentBack(error, back, signal);
        }
      },
    }),
    operation({
      ...common,
      name: 'completeSignIn',
      path: '/sign-in/:provider/callback',
      summary: 'Where the identity provider sends the browser back to: begins the session and sends the browser on',
      description: 'When something is wrong, the browser goes to the same place with `error`, the code of a problem, and has no session.',
      params: provider,
      query: z.looseObject({ state: texts, code: texts, iss: texts, error: texts }),
      status: 302,
      errors: ['sign_in_provider_unknown'],
      handle: async ({ service, params, query, caller, header, address, requestId, signal }) => {
        const { signIn, cookie, frontPage } = browsersOf(service);
        const attempt = header('cookie');
        try {
          const { opened, returnUrl } = await signIn.complete(
            params.provider,
            {
              query: searchParams(query),
              ...{ cookie: attempt, requestId, client: { address, userAgent: header('user-agent') } },
              replaces: caller === null ? undefined : currentSession(caller),
            },
            signal,
          );
          const fields = sessionFields(cookie, opened);
          return { headers: { ...fields, location: returnUrl, 'set-cookie': [signIn.clearCookie, fields['set-cookie']] } };
        } catch (error) {
          const answer = sentBack(error, signIn.attemptedReturnUrl(params.provider, attempt) ?? frontPage, signal);
          return { ...answer, headers: { ...answer.headers, 'set-cookie': signIn.clearCookie } };
        }
      },
    }),
  ];
}

/** The browser goes back to an allowed place with the code of what is wrong, and nothing of what the provider or the person said. */
function sentBack(error: unknown, place: string, signal: AbortSignal): { headers: { location: string }; failure: SallyportError } {
  const failure = errorOf(error);
  // There is nobody to send on, or no such page.
  if (signal.aborted || failure.code === 'sign_in_provider_unknown') throw error;
  const url = new URL(place);
  url.searchParams.set('error', failure.code);
  return { headers: { location: url.href }, failure };
}

/** A field that came twice stays twice: whoever reads it has to see that. */
function searchParams(query: Readonly<Record<string, unknown>>): URLSearchParams {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) for (const text of [value].flat()) params.append(name, String(text));
  return params;
}
