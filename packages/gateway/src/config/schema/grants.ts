import { type ClientAuthentication, type ClientCredentialsOptions, clientCredentialsGrant, type RefreshTokenOptions } from '@sallyport/credentials';
import { SallyportError, Secret } from '@sallyport/sdk';
import { z } from 'zod';
import { defined } from './token-stores.js';
import { duration, flag, oneOf, path, secretValue, text, type ValueContext, value } from './values.js';

/** Access tokens for the gateway itself. */
export interface ClientCredentialsConfig {
  readonly type: 'client_credentials';
  readonly options: ClientCredentialsOptions;
}

/** Access tokens by a refresh token that a store keeps. */
export interface RefreshTokenConfig {
  readonly type: 'refresh_token';
  /** Name of a token store. */
  readonly store: string;
  /** Null: the name of what it is for. */
  readonly key: string | null;
  readonly options: Omit<RefreshTokenOptions, 'coordinator' | 'key'>;
}

/** How access tokens are obtained, told apart by `type`. */
export type GrantConfig = ClientCredentialsConfig | RefreshTokenConfig;

/** What the token endpoints of all grants have in common. */
type EndpointOptions = Omit<ClientCredentialsOptions, 'url' | 'authentication' | 'scopes'>;

interface Issues {
  addIssue(issue: { code: 'custom'; path: PropertyKey[]; message: string }): void;
}

const TOKEN_URL = 'https://token.invalid/';

/** A grant of its own. */
export function grantSchema(context: ValueContext) {
  return z.discriminatedUnion('type', [clientCredentialsSchema(context), refreshTokenSchema(context)]);
}

/** The form for client credentials. */
export function clientCredentialsSchema(context: ValueContext) {
  return z
    .strictObject({
      type: z.literal('client_credentials').describe('OAuth 2 client credentials.'),
      token_url: tokenUrl(),
      ...clientKeys(context),
      scopes: scopes(),
      expiry_margin: margin('1m'),
      ...endpointKeys(context),
    })
    .transform((written, issues): ClientCredentialsConfig => {
      const url = checkedUrl('token_url', written.token_url, written.insecure, issues);
      const authentication = authenticationOf(written, issues);
      if (written.auth === 'none')
        issues.addIssue({ code: 'custom', path: ['auth'], message: 'client credentials need a client_secret or a private_key' });
      return { type: written.type, options: { ...endpointOf(written), url, authentication, ...defined({ scopes: written.scopes }) } };
    });
}

/** The form for a refresh token. */
export function refreshTokenSchema(context: ValueContext) {
  return z
    .strictObject({
      type: z.literal('refresh_token').describe('OAuth 2 with a refresh token from `sallyport onboard`.'),
      token_url: tokenUrl(),
      ...clientKeys(context),
      ...storeKey(),
      key: text('a key').optional().describe('Under which the store keeps the token; the name of the provider or credential when left out.'),
      reusable: flag()
        .prefault(false)
        .describe('Whether the server takes a refresh token more than once; otherwise each is presented once only, by one process at a time.'),
      scopes: scopes(),
      expiry_margin: margin('1m'),
      ...endpointKeys(context),
    })
    .transform((written, issues): RefreshTokenConfig => {
      const { type, store, key = null, reusable } = written;
      const url = checkedUrl('token_url', written.token_url, written.insecure, issues);
      const authentication = authenticationOf(written, issues);
      return { type, store, key, options: { ...endpointOf(written), url, authentication, reusable, ...defined({ scopes: written.scopes }) } };
    });
}

/** The key that names the store of a refresh token. */
export function storeKey() {
  return { store: text('the name of a token store').describe('Name of the token store.') };
}

/** The keys that say who the gateway is at the token endpoint. */
export function clientKeys(context: ValueContext) {
  return {
    client_id: value(context, 'a client id')
      .refine((id) => id !== '', 'the client id is empty')
      .describe('The client id.'),
    client_secret: secretValue(context, 'the client secret', (secret) => (secret === '' ? 'the client secret is empty' : null))
      .optional()
      .describe('The client secret.'),
    auth: oneOf(['post', 'basic', 'private_key_jwt', 'none'])
      .optional()
      .describe('How the client authenticates; `post` with a secret and `private_key_jwt` with a key when left out. `none` is a public client.'),
    private_key: secretValue(context, 'the private key', keyFault)
      .optional()
      .describe('Key that signs assertions, PEM or JWK: RSA of at least 2048 bits, EC on P-256, or Ed25519.'),
    key_id: text('a key id').optional().describe('Key id in the header of an assertion; that of the JWK when left out.'),
    algorithm: oneOf(['ES256', 'RS256', 'PS256', 'EdDSA'])
      .optional()
      .describe('Algorithm of the signature; the usual one for the key when left out.'),
    audience: text('an audience').optional().describe('`aud` of an assertion; the URL of the token endpoint when left out.'),
  };
}

/** The keys that say how the token endpoint is talked to. */
export function endpointKeys(context: ValueContext) {
  return {
    extra_params: z
      .record(text('the name of a form field'), value(context, 'a text'))
      .prefault({})
      .describe('Further fields of the form, such as `audience`; what the protocol gives a meaning is not taken from here.'),
    assumed_lifetime: duration().optional().describe('Lifetime of a token whose answer names none; such an answer is an error when left out.'),
    timeout: duration(25_000).prefault('10s').describe('How long one request to the token endpoint may take.'),
    ca: pemFile(context).optional().describe('PEM file of the authorities that are trusted for the token endpoint instead of the usual ones.'),
    min_tls: oneOf(['TLSv1.2', 'TLSv1.3']).prefault('TLSv1.2').describe('The oldest TLS version spoken with the token endpoint.'),
    insecure: flag().prefault(false).describe('Whether the token endpoint may be an http:// URL of this machine.'),
  };
}

/** How long before its end a token counts as expired. */
export function margin(fallback: string) {
  return duration().prefault(fallback).describe('How long before its end an access token is not used any more.');
}

type Client = Partial<z.output<z.ZodObject<ReturnType<typeof clientKeys>>>>;
type Endpoint = z.output<z.ZodObject<ReturnType<typeof endpointKeys>>>;

/** Client and endpoint as a grant takes them, all but the URL and the authentication. */
export function endpointOf(written: Endpoint & { readonly client_id: string; readonly expiry_margin: number }): EndpointOptions {
  return {
    clientId: written.client_id,
    extraParams: written.extra_params,
    expiryMarginMs: written.expiry_margin,
    timeoutMs: written.timeout,
    minTlsVersion: written.min_tls,
    allowHttp: written.insecure,
    ...defined({ ca: written.ca, assumedLifetimeMs: written.assumed_lifetime }),
  };
}

/** The authentication that was written, or that follows from what was. */
export function authenticationOf(client: Client, issues: Issues): ClientAuthentication {
  const { client_secret: secret, private_key: key, key_id, algorithm, audience } = client;
  const method = client.auth ?? (key === undefined ? (secret === undefined ? null : 'post') : 'private_key_jwt');
  const complain = (at: string, message: string): void => issues.addIssue({ code: 'custom', path: [at], message });
  const assertion = defined({ keyId: key_id, algorithm, audience });
  if (method === null) complain('client_secret', 'is required: expected client_secret, private_key, or `auth: none` for a public client');
  if (method === 'private_key_jwt') {
    if (secret !== undefined) complain('client_secret', 'is not used with private_key_jwt; leave one of the two out');
    if (key === undefined) complain('private_key', 'is required with private_key_jwt');
    else if (algorithm !== undefined) {
      const fault = signingFault({ method, key, algorithm });
      if (fault !== null) complain('algorithm', fault);
    }
    return { method, key: key ?? new Secret(''), ...assertion };
  }
  if (key !== undefined) complain('private_key', `is not used with ${method}; leave one of the two out`);
  for (const [name, one] of Object.entries({ key_id, algorithm, audience })) {
    if (one !== undefined && key === undefined) complain(name, 'goes with private_key only');
  }
  if (method === 'none' || method === null) {
    if (secret !== undefined) complain('client_secret', 'is not used with none; leave one of the two out');
    return { method: 'none' };
  }
  if (secret === undefined) complain('client_secret', `is required with ${method}`);
  return { method, secret: secret ?? new Secret('') };
}

/** The URL, reported under `key` when a token endpoint cannot be there. */
export function checkedUrl(key: string, written: string, insecure: boolean, issues: Issues): string {
  const fault = urlFault(written, insecure);
  if (fault !== null) issues.addIssue({ code: 'custom', path: [key], message: fault });
  return written;
}

function tokenUrl() {
  return text('an https:// URL').describe('The token endpoint.');
}

function scopes() {
  return z
    .array(text('a scope').refine((scope) => !scope.includes(' '), 'write several scopes as a list'))
    .optional()
    .describe('What the token is asked for.');
}

/** The text of a PEM file of at most 64 KiB. Its later changes trigger a reload. */
function pemFile(context: ValueContext) {
  return path(context).transform((absolute, issues) => {
    try {
      return context.read(absolute);
    } catch (cause) {
      const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
      issues.addIssue({ code: 'custom', message: `the file cannot be read (${reason})` });
      return '';
    }
  });
}

function keyFault(key: string): string | null {
  return signingFault({ method: 'private_key_jwt', key: new Secret(key) });
}

/** What the grant itself says against a key. */
function signingFault(authentication: ClientAuthentication): string | null {
  try {
    clientCredentialsGrant({ url: TOKEN_URL, clientId: 'client', authentication });
    return null;
  } catch (cause) {
    if (!(cause instanceof SallyportError)) throw cause;
    return cause.message;
  }
}

function urlFault(written: string, insecure: boolean): string | null {
  const url = URL.canParse(written) ? new URL(written) : null;
  if (url === null || url.hostname === '') return 'expected an absolute URL such as https://login.example.com/oauth2/token';
  if (url.username !== '' || url.password !== '') return 'a URL with a user name or a password; use client_id and client_secret';
  if (url.hash !== '') return 'a URL with a fragment, which is never sent';
  if (url.protocol === 'https:') return null;
  if (url.protocol !== 'http:') return 'expected https://';
  if (!/^(localhost|127(\.[0-9]+){3}|\[::1\])$/.test(url.hostname)) return 'expected https://; http:// is for this machine only';
  return insecure ? null : 'expected https://; http:// needs insecure: true';
}
