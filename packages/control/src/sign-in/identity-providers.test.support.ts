import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret } from '@sallyport/sdk';
import { exportJWK, SignJWT } from 'jose';
import Provider from 'oidc-provider';
import type { IdentityProviderInput } from './identity-provider-config.js';

/** A server on loopback. */
export interface LoopbackServer {
  readonly origin: string;
  close(): Promise<void>;
}

/** A secret that is worth looking for in what is printed. */
export const clientSecret = 'a-client-secret-for-tests';

/** Where the browser comes back to; nothing listens there. */
const callbackUrl = 'http://127.0.0.1/sign-in/company/callback';

async function listen(listener: (origin: string) => RequestListener): Promise<LoopbackServer> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  server.on('request', listener(origin));
  return {
    origin,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Says who signs in next at a provider, and in which groups that person is. */
export interface Desk {
  subject: string;
  groups: readonly string[];
  more: Readonly<Record<string, unknown>>;
}

/** A real OpenID Connect server that lets in whom the desk names, without asking. It takes the secret of its client in one way only. */
export async function startOidcProvider(
  desk: Desk,
  method: 'client_secret_basic' | 'client_secret_post',
  callbacks: readonly string[] = [callbackUrl],
): Promise<LoopbackServer> {
  return listen((issuer) => {
    const client = { client_id: 'sallyport', client_secret: clientSecret, redirect_uris: [...callbacks], token_endpoint_auth_method: method };
    const provider: Provider = new Provider(issuer, {
      clients: [{ ...client, grant_types: ['authorization_code'], response_types: ['code'] }],
      clientAuthMethods: [method],
      claims: { openid: ['sub', 'groups', 'department', 'email', 'email_verified'] },
      conformIdTokenClaims: false,
      scopes: ['openid', 'teams'],
      cookies: { keys: ['a-key-for-tests'] },
      features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
      pkce: { required: () => true },
      interactions: { url: (_, { uid }) => `/interaction/${uid}` },
      findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, groups: desk.groups, ...desk.more }) }),
      loadExistingGrant: async ({ oidc }) => {
        const grant = new provider.Grant({ clientId: oidc.client?.clientId ?? '', accountId: oidc.session?.accountId ?? '' });
        grant.addOIDCScope('openid teams');
        await grant.save();
        return grant;
      },
    });
    const handle = provider.callback();
    return (request, response) => {
      if (request.url?.startsWith('/interaction/') !== true) return void handle(request, response);
      const result = desk.subject === '' ? { error: 'access_denied' } : { login: { accountId: desk.subject } };
      return void provider.interactionFinished(request, response, result);
    };
  });
}

/** A person with a browser at the provider: follows redirects until the provider sends it away, and answers where to. */
export async function signInAt(start: string): Promise<URL> {
  const cookies = new Map<string, string>();
  let url = new URL(start);
  const { origin } = url;
  for (let step = 0; step < 10; step += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie } });
    const location = answer.headers.get('location');
    if (location === null) throw new Error(`The provider stays at ${answer.status}: ${await answer.text()}`);
    for (const field of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(field) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    url = new URL(location, url);
    if (url.origin !== origin) return url;
  }
  throw new Error('The provider sends the browser in circles.');
}

/** What a provider of the test's own says and does wrong. */
export interface Script {
  /** Claims of the next ID token besides the right ones; `undefined` leaves one out. */
  claims?: Readonly<Record<string, unknown>>;
  nonce?: string;
  /** Answers instead of the token endpoint. */
  tokenAnswer?: { readonly status: number; readonly type: string; readonly body: string };
  signedWith?: 'the right key' | 'another key' | 'nothing';
  hangs?: boolean;
  discoveries?: number;
}

/** A provider that says what the script tells it to. Its access tokens are `an-access-token`. */
export async function startScriptedProvider(script: Script): Promise<LoopbackServer> {
  const [good, bad] = [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('rsa', { modulusLength: 2048 })];
  const jwk = { ...(await exportJWK(good.publicKey)), kid: 'k', alg: 'RS256', use: 'sig' };
  return listen((issuer) => {
    const metadata = {
      ...{ issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks` },
      ...{ response_types_supported: ['code'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['RS256'] },
    };
    return (request, response) => {
      const answer = (body: string, status = 200, type = 'application/json'): void => {
        response.writeHead(status, { 'content-type': type }).end(body);
      };
      if (script.hangs === true) return;
      if (request.url?.endsWith('/.well-known/openid-configuration') === true) {
        script.discoveries = (script.discoveries ?? 0) + 1;
        answer(JSON.stringify(metadata));
      } else if (request.url === '/jwks') answer(JSON.stringify({ keys: [jwk] }));
      else if (script.tokenAnswer !== undefined) answer(script.tokenAnswer.body, script.tokenAnswer.status, script.tokenAnswer.type);
      else
        void idToken(script, issuer, script.signedWith === 'another key' ? bad.privateKey : good.privateKey).then((id_token) =>
          answer(JSON.stringify({ access_token: 'an-access-token', token_type: 'Bearer', id_token })),
        );
    };
  });
}

async function idToken({ claims, nonce, signedWith }: Script, issuer: string, key: KeyObject): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: issuer, sub: 'ada', aud: 'sallyport', iat: now, exp: now + 60, nonce, groups: ['staff'], ...claims };
  const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  if (signedWith !== 'nothing') return new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid: 'k' }).sign(key);
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(payload)}.`;
}

/** A provider of this issuer: staff read and admins do everything in `root.a`, friends read in `root.a.b`. */
export function providerInput(issuer: string, more: Partial<IdentityProviderInput> = {}): IdentityProviderInput {
  const role = (group: string, verbs: readonly string[]) => ({
    ...{ claim: 'groups', contains: group, labels: { group } },
    permissions: [{ namespace: '{{namespace}}', resources: ['connections'], verbs }],
  });
  return {
    ...{ name: 'company', issuer, client_id: 'sallyport', client_secret: new Secret(clientSecret), callback_url: callbackUrl },
    ...{ namespace: 'root.a', allow_insecure: true },
    roles: [role('staff', ['get', 'list']), role('admins', ['*']), { ...role('friends', ['get']), namespace: 'root.a.b' }],
    ...more,
  };
}
