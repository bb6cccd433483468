import { SallyportError, type Secret } from '@sallyport/sdk';
import { allowInsecureRequests, customFetch, genericTokenEndpointRequest } from 'oauth4webapi';
import type { ExchangeOutcome } from '../refresh/exchange.js';
import { type ClientAuthentication, clientAuth } from './client-authentication.js';
import { endpointUnavailable, readAnswer } from './token-answer.js';
import { postForm, TIMEOUT_MS, type TransportAnswer, type TransportFailure, type TransportOptions } from './token-endpoint-transport.js';

/** Where tokens come from, and as whom. All times are milliseconds. */
export interface TokenEndpointOptions extends TransportOptions {
  /** Absolute, without user, password and fragment. */
  readonly url: string;
  readonly clientId: string;
  readonly authentication: ClientAuthentication;
  /** Further fields of the form. Those that the protocol gives a meaning are never taken from here. */
  readonly extraParams?: Readonly<Record<string, string>>;
  /** An access token counts as expired this long before it is; 60 s when left out. */
  readonly expiryMarginMs?: number;
  /** How long a token lives whose answer has no `expires_in`. Left out, such an answer is a `token_response_invalid` error. */
  readonly assumedLifetimeMs?: number;
  /** Lets `http:` URLs on loopback addresses through, for tests. */
  readonly allowHttp?: boolean;
}

/** A token endpoint as one client sees it. */
export interface TokenEndpoint {
  /** The URL without its query, for people. */
  readonly where: string;
  /** Milliseconds after which a request is certain to have settled. */
  readonly timeoutMs: number;
  /**
   * Posts a grant and says what became of it. Never rejects. `parameters` win over the extra ones; `secrets` are the parameters that may not be
   * echoed into a log.
   */
  request(grantType: string, parameters: Readonly<Record<string, string>>, secrets: readonly Secret[], signal: AbortSignal): Promise<ExchangeOutcome>;
}

const MARGIN_MS = 60_000;
/** For composing the form and taking down the connection. */
const SETTLING_MS = 1_000;
/** Fields that the protocol gives a meaning. With `basic`, for example, a secret in the form would be a second authentication (RFC 6749 §2.3). */
const RESERVED: ReadonlySet<string> = new Set([
  'grant_type',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'refresh_token',
  'scope',
]);

/** A client of a token endpoint. Throws `config_invalid` for a URL, an id, a secret or a key that cannot be used. */
export function tokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  const url = checkedUrl(options.url, options.allowHttp === true);
  if (options.clientId === '') throw invalid('The client id is empty.', 'Give the id under which the client is registered.');
  const authentication = clientAuth(options.authentication);
  const where = url.origin + url.pathname;
  const server = { issuer: url.href, token_endpoint: url.href };
  const client = { client_id: options.clientId };
  const extra = Object.entries(options.extraParams ?? {}).filter(([name]) => !RESERVED.has(name));
  const ownSecrets = 'secret' in options.authentication ? [options.authentication.secret] : [];

  async function request(
    grantType: string,
    parameters: Readonly<Record<string, string>>,
    secrets: readonly Secret[],
    signal: AbortSignal,
  ): Promise<ExchangeOutcome> {
    const postedAt = Date.now();
    let answer: TransportAnswer | TransportFailure = { sent: false, reason: 'the request could not be made' };
    try {
      // The library composes form, client authentication and headers. Its reading of answers is not used: it rejects as a whole what has a part
      // that is not valid, an ID token for example, and the refresh token in it would be gone.
      await genericTokenEndpointRequest(
        server,
        client,
        authentication,
        grantType,
        { ...Object.fromEntries(extra), ...parameters },
        {
          [allowInsecureRequests]: options.allowHttp === true,
          [customFetch]: async (href, init) => {
            answer = await postForm({ url: href, headers: init.headers, body: String(init.body) }, options, signal);
            return new Response();
          },
        },
      );
    } catch {
      // Nothing was sent: `postForm` never rejects. Without the cause, which may quote what it could not compose.
    }
    if ('reason' in answer)
      return { kind: answer.sent ? 'unknown' : 'unused', error: endpointUnavailable(`${where} gave no answer: ${answer.reason}.`) };
    return readAnswer(answer, {
      where,
      postedAt,
      marginMs: options.expiryMarginMs ?? MARGIN_MS,
      assumedLifetimeMs: options.assumedLifetimeMs ?? null,
      secrets: [...ownSecrets, ...secrets],
    });
  }

  return { where, timeoutMs: (options.timeoutMs ?? TIMEOUT_MS) + SETTLING_MS, request };
}

/** The scopes as the form wants them: the field only when there are any. */
export function scopeParameter(scopes: readonly string[] | undefined): { scope?: string } {
  return scopes === undefined || scopes.length === 0 ? {} : { scope: scopes.join(' ') };
}

function checkedUrl(text: string, allowHttp: boolean): URL {
  const hint = 'Give the absolute https: URL of the token endpoint.';
  if (!URL.canParse(text)) throw invalid('The URL of the token endpoint is not a URL.', hint);
  const url = new URL(text);
  const where = `The URL of the token endpoint at ${url.host}`;
  if (url.username !== '' || url.password !== '') throw invalid(`${where} holds a user or a password.`, 'Give them as client id and client secret.');
  if (url.hash !== '') throw invalid(`${where} has a fragment.`, hint);
  const loopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && allowHttp && loopback)) throw invalid(`${where} is not an https: URL.`, hint);
  return url;
}

function invalid(detail: string, hint: string): SallyportError {
  return new SallyportError('config_invalid', { detail, hint });
}
