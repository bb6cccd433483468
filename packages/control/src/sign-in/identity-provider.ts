import { AsyncLocalStorage } from 'node:async_hooks';
import { SallyportError } from '@sallyport/sdk';
import type { ClientAuth, Configuration, CustomFetch } from 'openid-client';
import { type IdentityProviderConfig, isLoopback } from './identity-provider-config.js';
import type { Claims } from './role-mapping.js';

/** What belongs to one attempt to sign in, and what the answer is held against. */
export interface SignInChecks {
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/** One provider, spoken to. Every method rejects with the reason of the signal when that is aborted. */
export interface IdentityProvider {
  readonly config: IdentityProviderConfig;
  /** New, random values for an attempt. */
  newChecks(): Promise<SignInChecks>;
  /** Where the browser goes to sign in. Rejects with `sign_in_provider_unavailable`. */
  authorizationUrl(checks: SignInChecks, signal?: AbortSignal): Promise<string>;
  /**
   * What the provider says about the person who came back with this query: the code is exchanged, `iss`, state, nonce, PKCE, audience, times, the
   * age of the authentication and the signature of the ID token are checked. Rejects with `sign_in_denied`, `sign_in_answer_invalid` or
   * `sign_in_provider_unavailable`; no error holds anything that the provider handed out.
   */
  claims(query: URLSearchParams, checks: SignInChecks, signal?: AbortSignal): Promise<Claims & { readonly iss: string; readonly sub: string }>;
  /** Where the browser goes to sign out with the provider too, and then back if that is wanted; undefined when the provider has no such place. */
  logoutUrl(returnUrl: string | undefined, signal?: AbortSignal): Promise<string | undefined>;
}

export interface IdentityProviderOptions {
  /** How long one answer may take, in milliseconds. 10 s when left out. */
  readonly timeoutMs?: number;
  /** Never runs backwards: after a clock that is put right, nothing would be discovered anew for long. */
  readonly clock?: () => number;
}

type Client = typeof import('openid-client');

const DISCOVERY_MAX_AGE = 3_600_000;
const LARGEST_ANSWER = 1024 * 1024;

/** A provider. Nothing is fetched, and the OpenID client is not loaded, before somebody signs in. */
export function openIdentityProvider(
  config: IdentityProviderConfig,
  { timeoutMs = 10_000, clock = () => performance.now() }: IdentityProviderOptions = {},
): IdentityProvider {
  const timeout = timeoutMs / 1000;
  // The client takes no signal for a call, so it reaches the fetch of that call this way.
  const signals = new AsyncLocalStorage<AbortSignal | undefined>();
  let known: { readonly configuration: Configuration; readonly at: number } | undefined;
  let discovery: Promise<Configuration> | undefined;

  const boundedFetch: CustomFetch = async (url, options) => {
    if (new URL(url).protocol !== 'https:' && !(config.allowInsecure && isLoopback(new URL(url)))) throw new TypeError('the URL is not https');
    const given = [options.signal, signals.getStore()].filter((signal) => signal !== undefined);
    const answer = await fetch(url, { ...options, body: options.body as NonNullable<RequestInit['body']> | null, signal: AbortSignal.any(given) });
    return new Response(await readBounded(answer.body), { status: answer.status, headers: answer.headers });
  };

  async function discover(client: Client): Promise<Configuration> {
    const { clientId, issuer, allowInsecure } = config;
    return client.discovery(issuer, clientId, undefined, clientAuthentication(client), {
      [client.customFetch]: boundedFetch,
      execute: [client.enableNonRepudiationChecks, ...(allowInsecure ? [client.allowInsecureRequests] : [])],
      timeout,
    });
  }

  /** The secret goes where the provider says that it takes it; in the header when it says nothing (RFC 8414 §2). */
  function clientAuthentication(client: Client): ClientAuth {
    const secret = config.clientSecret;
    if (secret === undefined) return client.None();
    const [basic, posted] = [client.ClientSecretBasic(secret.reveal()), client.ClientSecretPost(secret.reveal())];
    return (server, ...request) => {
      const methods = server.token_endpoint_auth_methods_supported;
      return ((methods?.includes('client_secret_basic') ?? true) ? basic : posted)(server, ...request);
    };
  }

  /** One discovery at a time, whoever asks; who gives up leaves it to the others. What is known is used while a new one fails. */
  async function configured(client: Client, signal: AbortSignal | undefined): Promise<Configuration> {
    if (known === undefined || clock() - known.at >= DISCOVERY_MAX_AGE) {
      discovery ??= signals
        .run(undefined, () => discover(client))
        .then((configuration) => {
          known = { configuration, at: clock() };
          return configuration;
        })
        .finally(() => {
          discovery = undefined;
        });
      const stale = known;
      const fresh = abandonable(discovery, signal);
      return stale === undefined ? fresh : fresh.catch(() => stale.configuration);
    }
    return known.configuration;
  }

  async function speak<Result>(
    signal: AbortSignal | undefined,
    work: (client: Client, configuration: Configuration) => Promise<Result>,
  ): Promise<Result> {
    signal?.throwIfAborted();
    const client = await import('openid-client');
    try {
      const configuration = await configured(client, signal);
      return await signals.run(signal, () => work(client, configuration));
    } catch (error) {
      signal?.throwIfAborted();
      throw inOurWords(client, error);
    }
  }

  return {
    config,
    async newChecks() {
      const client = await import('openid-client');
      return { state: client.randomState(), nonce: client.randomNonce(), codeVerifier: client.randomPKCECodeVerifier() };
    },
    authorizationUrl: ({ state, nonce, codeVerifier }, signal) =>
      speak(signal, async (client, configuration) => {
        const url = client.buildAuthorizationUrl(configuration, {
          redirect_uri: config.callbackUrl.href,
          scope: config.scopes.join(' '),
          ...{ state, nonce, code_challenge: await client.calculatePKCECodeChallenge(codeVerifier), code_challenge_method: 'S256' },
          ...(config.maxAge === undefined ? {} : { max_age: String(config.maxAge) }),
        });
        return url.href;
      }),
    claims: (query, { state, nonce, codeVerifier }, signal) =>
      speak(signal, async (client, configuration) => {
        // Made of what is configured: what a client says in Host or in the path counts for nothing.
        const url = new URL(config.callbackUrl);
        url.search = query.toString();
        const tokens = await client.authorizationCodeGrant(configuration, url, {
          ...{ expectedState: state, expectedNonce: nonce, pkceCodeVerifier: codeVerifier, idTokenExpected: true },
          ...(config.maxAge === undefined ? {} : { maxAge: config.maxAge }),
        });
        const claims = tokens.claims();
        if (claims === undefined) throw answerInvalid('There is no ID token in it');
        if (!config.userinfo) return claims;
        return { ...(await client.fetchUserInfo(configuration, tokens.access_token, claims.sub)), ...claims };
      }),
    logoutUrl: (returnUrl, signal) =>
      speak(signal, async (client, configuration) => {
        if (configuration.serverMetadata().end_session_endpoint === undefined) return undefined;
        return client.buildEndSessionUrl(configuration, returnUrl === undefined ? {} : { post_logout_redirect_uri: returnUrl }).href;
      }),
  };
}

function answerInvalid(detail: string, cause?: unknown): SallyportError {
  return new SallyportError('sign_in_answer_invalid', { detail: `The answer of the identity provider does not hold: ${detail}`, cause });
}

/**
 * The failure in our words. The errors of the client carry what they are about, tokens and claims included, so only their codes and sentences are
 * taken over, which are fixed texts.
 */
function inOurWords(client: Client, error: unknown): unknown {
  if (error instanceof SallyportError) return error;
  if (error instanceof client.AuthorizationResponseError)
    return new SallyportError('sign_in_denied', { detail: `The identity provider says ${codeIn(error.error)}` });
  if (error instanceof client.ResponseBodyError) return answerInvalid(`it is the error ${codeIn(error.error)}`);
  if (error instanceof client.WWWAuthenticateChallengeError) return answerInvalid('the credentials of the client, or the token, are not taken');
  if (!(error instanceof Error)) return error;
  const said = new Error([error.message, error.cause instanceof Error ? error.cause.message : ''].filter((text) => text !== '').join(': '));
  const code = error instanceof client.ClientError ? error.code : undefined;
  const unreachable = code === undefined || UNREACHABLE.has(code);
  return unreachable ? new SallyportError('sign_in_provider_unavailable', { cause: said }) : answerInvalid(said.message, said);
}

// Answers that a proxy, a page of maintenance or a wrong issuer gives, and none at all.
const UNREACHABLE: ReadonlySet<string> = new Set([
  'OAUTH_TIMEOUT',
  'OAUTH_ABORT',
  'OAUTH_RESPONSE_IS_NOT_CONFORM',
  'OAUTH_RESPONSE_IS_NOT_JSON',
  'OAUTH_PARSE_ERROR',
]);

/** An error code as an error of ours may repeat it: the text comes from outside. */
function codeIn(text: string): string {
  return /^[a-z_]{1,64}$/.test(text) ? `\`${text}\`` : 'that it is an error';
}

async function readBounded(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array<ArrayBuffer> | null> {
  if (body === null) return null;
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels the rest of the body.
  for await (const chunk of body) {
    size += chunk.length;
    if (size > LARGEST_ANSWER) throw new TypeError(`the answer is larger than ${LARGEST_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** The promise, or the reason of the signal when that comes first; the work goes on. */
async function abandonable<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
