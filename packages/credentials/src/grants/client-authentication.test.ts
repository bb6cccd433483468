import { createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { Secret } from '@sallyport/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RotatingServer, rotatingServer } from '../refresh/rotating-server.test.support.js';
import { CLIENT_ID, CLIENT_SECRET } from '../refresh/torture-grant.test.support.js';
import { type ClientAuthentication, clientAuth } from './client-authentication.js';
import { clientCredentialsGrant } from './client-credentials.js';

const NEVER = new AbortController().signal;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ed = generateKeyPairSync('ed25519').privateKey;
let server: RotatingServer;

function pem(key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'sec1' = 'pkcs8'): Secret {
  return new Secret(key.export({ type, format: 'pem' }).toString());
}

function jwk(key: KeyObject, more: JsonWebKey = {}): Secret {
  return new Secret(JSON.stringify({ ...key.export({ format: 'jwk' }), ...more }));
}

function publicJwk(key: KeyObject, more: JsonWebKey): never {
  return { ...createPublicKey(key).export({ format: 'jwk' }), ...more } as never;
}

beforeAll(async () => {
  const shared = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'], id_token_signed_response_alg: 'ES256' as const };
  const keyed = { ...shared, token_endpoint_auth_method: 'private_key_jwt' as const };
  server = await rotatingServer({
    enabledJWA: {
      clientAuthSigningAlgValues: ['ES256', 'RS256', 'PS256', 'EdDSA'],
      idTokenSigningAlgValues: ['ES256'],
    },
    clients: [
      { ...shared, client_id: 'basic', client_secret: 'p:s %+&~', token_endpoint_auth_method: 'client_secret_basic' },
      { ...keyed, client_id: 'ES256', token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [publicJwk(ec, { kid: 'ec-1' })] } },
      { ...keyed, client_id: 'RS256', token_endpoint_auth_signing_alg: 'RS256', jwks: { keys: [publicJwk(rsa, {})] } },
      { ...keyed, client_id: 'PS256', token_endpoint_auth_signing_alg: 'PS256', jwks: { keys: [publicJwk(rsa, {})] } },
      { ...keyed, client_id: 'EdDSA', token_endpoint_auth_signing_alg: 'EdDSA', jwks: { keys: [publicJwk(ed, {})] } },
    ],
  });
});
afterAll(() => server.close());

async function authenticate(clientId: string, authentication: ClientAuthentication): Promise<string> {
  const grant = clientCredentialsGrant({ url: `${server.url}/token`, clientId, authentication, allowHttp: true });
  return (await grant.fetch(NEVER)).secret.reveal();
}

describe('a real server accepts', () => {
  test.each<[string, string, () => ClientAuthentication]>([
    ['post', CLIENT_ID, () => ({ method: 'post', secret: new Secret(CLIENT_SECRET) })],
    ['basic', 'basic', () => ({ method: 'basic', secret: new Secret('p:s %+&~') })],
    ['an EC key, SEC1', 'ES256', () => key({ key: pem(ec, 'sec1') })],
    ['an EC key with a key id', 'ES256', () => key({ key: pem(ec), keyId: 'ec-1' })],
    ['an EC JWK with its key id', 'ES256', () => key({ key: jwk(ec, { kid: 'ec-1' }) })],
    ['an RSA key, PKCS#1', 'RS256', () => key({ key: pem(rsa, 'pkcs1') })],
    ['an RSA key with PSS', 'PS256', () => key({ key: pem(rsa), algorithm: 'PS256' })],
    ['an RSA JWK with its algorithm', 'PS256', () => key({ key: jwk(rsa, { alg: 'PS256' }) })],
    ['an Ed25519 key', 'EdDSA', () => key({ key: pem(ed) })],
    ['the issuer as audience', 'ES256', () => key({ key: pem(ec), audience: server.url })],
  ])('%s', async (_name, clientId, authentication) => {
    expect(await authenticate(clientId, authentication())).not.toBe('');
  });

  function key(options: Omit<Extract<ClientAuthentication, { method: 'private_key_jwt' }>, 'method'>): ClientAuthentication {
    return { method: 'private_key_jwt', ...options };
  }
});

describe('a real server refuses', () => {
  test.each<[string, string, ClientAuthentication]>([
    ['a wrong secret', CLIENT_ID, { method: 'post', secret: new Secret('MARKER') }],
    ['no secret', CLIENT_ID, { method: 'none' }],
    ['another key', 'ES256', { method: 'private_key_jwt', key: pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey) }],
    ['another audience', 'ES256', { method: 'private_key_jwt', key: pem(ec), audience: 'https://elsewhere.example' }],
  ])('%s', async (_name, clientId, authentication) => {
    const error: unknown = await authenticate(clientId, authentication).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'client_credentials_refused' });
    expect(inspect(error, { depth: null })).not.toContain('MARKER');
  });
});

describe('keys that cannot sign', () => {
  const withKey = (key: Secret, algorithm?: 'PS256' | 'EdDSA'): void =>
    void clientAuth({ method: 'private_key_jwt', key, ...(algorithm === undefined ? {} : { algorithm }) });

  test.each<[string, () => void, RegExp]>([
    ['a public key', () => withKey(new Secret(createPublicKey(ec).export({ type: 'spki', format: 'pem' }).toString())), /neither a PEM nor a JWK/],
    ['another curve', () => withKey(pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)), /on the curve secp384r1/],
    ['another type', () => withKey(pem(generateKeyPairSync('x25519').privateKey)), /of the type x25519/],
    ['a short RSA key', () => withKey(pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey)), /only 1024 bits/],
    ['the algorithm of another type', () => withKey(pem(ec), 'PS256'), /cannot sign with "PS256"/],
    ['a JWK with an algorithm nobody knows', () => withKey(jwk(rsa, { alg: 'RS1' })), /cannot sign with "RS1"/],
  ])('%s', (_name, make, message) => {
    expect(make).toThrow(expect.objectContaining({ code: 'config_invalid', message: expect.stringMatching(message) }));
  });
});
