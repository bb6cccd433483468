import { timingSafeEqual } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { Sealer } from '../database/sealer.js';
import type { ReturnUrls } from '../sessions/return-url.js';
import type { OpenedSession } from '../sessions/session.js';
import { type CookieSettings, type ServiceCookie, serviceCookie } from '../sessions/session-cookie.js';
import type { NewSession, Sessions } from '../sessions/sessions.js';
import type { UseNonce } from '../tokens/verify-token.js';
import type { IdentityProvider, SignInChecks } from './identity-provider.js';
import type { People } from './people.js';
import { mapPerson } from './role-mapping.js';

export interface SignInOptions {
  /** The service that people sign in to. */
  readonly service: string;
  readonly providers: readonly IdentityProvider[];
  readonly people: Pick<People, 'enter' | 'expel'>;
  readonly sessions: Pick<Sessions, 'open'>;
  readonly returnUrls: ReturnUrls;
  readonly sealer: Sealer;
  readonly useNonce: UseNonce;
  /** How cookies of the service are written. That of an attempt is always SameSite=Lax: the browser comes back from another site. */
  readonly cookie: Pick<CookieSettings, 'secure' | 'prefix'>;
  /** How long somebody may take to sign in with the provider, in milliseconds. Ten minutes when left out. */
  readonly maxAgeMs?: number;
  readonly now?: () => number;
}

/** What a browser comes back with. */
interface SignInAnswer {
  /** The query of the callback. */
  readonly query: URLSearchParams;
  /** The Cookie field. */
  readonly cookie: string | undefined;
  /** The session that the browser has, which ends when the new one begins. */
  readonly replaces?: NewSession['replaces'];
  readonly client?: NewSession['client'];
  readonly requestId?: string | undefined;
}

/** People sign in with an identity provider. */
export interface SignIn {
  /** The names of the providers, in the order of the configuration. */
  readonly providers: readonly string[];
  /**
   * Begins an attempt: where to send the browser, and the cookie that binds the attempt to it. Nothing is stored, so strangers who begin attempts fill
   * nothing up. Rejects with `sign_in_provider_unknown`, `return_url_not_allowed` or `sign_in_provider_unavailable`.
   */
  begin(provider: string, returnUrl: string, signal?: AbortSignal): Promise<{ readonly redirectUrl: string; readonly setCookie: string }>;
  /**
   * Ends an attempt: the actor is made or changed to what the roles say, and has a session. Only in the browser that began it, in time, once, and at the
   * provider that it began with: `sign_in_state_invalid`, `sign_in_expired`, `sign_in_replayed`. Who has no role is let in nowhere, and loses the
   * sessions of before: `sign_in_no_role`. See {@link IdentityProvider.claims} and {@link People.enter} for the other errors.
   */
  complete(provider: string, answer: SignInAnswer, signal?: AbortSignal): Promise<{ readonly opened: OpenedSession; readonly returnUrl: string }>;
  /** Where the attempt in this Cookie field was to lead, whatever came of it; undefined when there is none, or it may not lead there any more. */
  attemptedReturnUrl(provider: string, cookie: string | undefined): string | undefined;
  /** The Set-Cookie field that takes the cookie of an attempt away: for every answer to a callback. */
  readonly clearCookie: string;
  /** Where to send the browser of an ended session so that the provider ends its own; undefined for a session that no provider began. */
  logoutUrl(signedInBy: string, returnUrl: string | undefined, signal?: AbortSignal): Promise<string | undefined>;
}

const TEN_MINUTES = 600_000;
const COOKIE = 'SIGN-IN';
const SEAL = 'sign-in attempt';
const ORIGIN = 'oidc:';

const attemptSchema = z.strictObject({
  service: z.string(),
  provider: z.string(),
  state: z.string(),
  nonce: z.string(),
  codeVerifier: z.string(),
  returnUrl: z.string(),
  expires: z.number(),
});
type Attempt = z.infer<typeof attemptSchema> & SignInChecks;

/**
 * Signing in to one service. A browser has one attempt at a time: the cookie of a second one takes the place of the first. Its state, nonce and PKCE
 * verifier are in the cookie, sealed; that an attempt was used is written down before the provider is asked, so that it is used once among all processes.
 */
export function createSignIn(options: SignInOptions): SignIn {
  const { service, people, sessions, returnUrls, sealer, useNonce, maxAgeMs = TEN_MINUTES, now = Date.now } = options;
  const providers = new Map(options.providers.map((provider) => [provider.config.name, provider]));
  if (providers.size !== options.providers.length)
    throw new SallyportError('config_invalid', { detail: 'Two identity providers have the same name' });
  const cookie: ServiceCookie = serviceCookie(COOKIE, { ...options.cookie, sameSite: 'lax' });

  function providerNamed(name: string): IdentityProvider {
    const provider = providers.get(name);
    if (provider === undefined) throw new SallyportError('sign_in_provider_unknown');
    return provider;
  }

  function openAttempt(field: string | undefined, provider: string): Attempt | undefined {
    const text = sealer.open(cookie.read(field) ?? '', SEAL);
    // Another release may have sealed it.
    const attempt = attemptSchema.safeParse(text === undefined ? undefined : JSON.parse(text));
    return attempt.success && attempt.data.service === service && attempt.data.provider === provider ? attempt.data : undefined;
  }

  function readAttempt(field: string | undefined, provider: string): Attempt {
    const attempt = openAttempt(field, provider);
    if (attempt === undefined) throw new SallyportError('sign_in_state_invalid');
    if (attempt.expires <= now()) throw new SallyportError('sign_in_expired');
    return attempt;
  }

  async function begin(name: string, returnUrl: string, signal?: AbortSignal): Promise<{ redirectUrl: string; setCookie: string }> {
    const provider = providerNamed(name);
    const back = returnUrls.require(returnUrl);
    const checks = await provider.newChecks();
    const redirectUrl = await provider.authorizationUrl(checks, signal);
    const attempt: Attempt = { service, provider: name, ...checks, returnUrl: back, expires: now() + maxAgeMs };
    return { redirectUrl, setCookie: cookie.write(sealer.seal(JSON.stringify(attempt), SEAL), maxAgeMs) };
  }

  async function complete(name: string, answer: SignInAnswer, signal?: AbortSignal): Promise<{ opened: OpenedSession; returnUrl: string }> {
    const provider = providerNamed(name);
    const attempt = readAttempt(answer.cookie, name);
    if (!isState(answer.query.getAll('state'), attempt.state)) throw new SallyportError('sign_in_state_invalid');
    const fresh = await useNonce({ issuer: SEAL, nonce: attempt.state, expires: Math.ceil(attempt.expires / 1000) + 1 }, signal);
    if (!fresh) throw new SallyportError('sign_in_replayed');
    const claims = await provider.claims(answer.query, attempt, signal);
    const identity = { issuer: claims.iss, subject: claims.sub };
    const person = mapPerson(provider.config, claims);
    if (typeof person === 'string') {
      await people.expel(identity);
      throw new SallyportError(person === 'no_role' ? 'sign_in_no_role' : 'sign_in_name_missing');
    }
    const actor = await people.enter(identity, person);
    const { replaces, client, requestId } = answer;
    const opened = await sessions.open({ actor, restriction: undefined, service, signedInBy: `${ORIGIN}${name}`, replaces, client }, requestId);
    return { opened, returnUrl: attempt.returnUrl };
  }

  return {
    providers: [...providers.keys()],
    begin,
    complete,
    attemptedReturnUrl(name, field) {
      const attempt = openAttempt(field, name);
      return attempt !== undefined && returnUrls.allows(attempt.returnUrl) ? attempt.returnUrl : undefined;
    },
    clearCookie: cookie.clear(),
    async logoutUrl(signedInBy, returnUrl, signal) {
      const back = returnUrl === undefined ? undefined : returnUrls.require(returnUrl);
      const provider = signedInBy.startsWith(ORIGIN) ? providers.get(signedInBy.slice(ORIGIN.length)) : undefined;
      return provider?.logoutUrl(back, signal);
    },
  };
}

function isState([given, ...others]: readonly string[], expected: string): boolean {
  if (given === undefined || others.length > 0) return false;
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
