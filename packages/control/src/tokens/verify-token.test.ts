import { createHmac, createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { SignJWT } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { everything, permissionsOf } from '../permissions/permission.js';
import { readClaims } from './claims.js';
import { amongKeys, type Issuer, systemIssuer } from './issuers.js';
import { createTokenMint } from './mint-token.js';
import { type SystemKeyVersion, systemKeyring } from './system-keyring.js';
import { agentPermission, forge, NOON, NOW, newSigner, type Signer, sign, verifierOf } from './tokens.test.support.js';
import { createTokenVerifier, type UseNonce, type VerifyToken } from './verify-token.js';

const host = newSigner('P-256');
const rsaHost = newSigner('rsa');
const ada = newSigner('ed25519');
const claims = { iss: 'host', sub: 'ada', aud: 'api', iat: NOW, exp: NOW + 600 };
const versions: SystemKeyVersion[] = [
  { id: 'ekv_2', material: Buffer.alloc(32, 2) },
  { id: 'ekv_1', material: Buffer.alloc(32, 1) },
];
const keyring = systemKeyring(() => versions);

let verify: VerifyToken;
let once: Set<string>;

beforeAll(async () => {
  once = new Set();
  const useNonce: UseNonce = async ({ issuer, nonce }) => {
    const key = `${issuer}|${nonce}`;
    return !once.has(key) && once.add(key) !== undefined;
  };
  const issuers = new Map<string, Issuer>([
    ['host', { findKeys: amongKeys([await verifierOf(host, 'h1')]), namespace: 'root', longestLife: 3600 }],
    [
      'rsa',
      {
        findKeys: amongKeys([await verifierOf(rsaHost, 'r1')]),
        namespace: 'root.rsa',
        longestLife: 3600,
        definesActorsWithin: everything,
        singleUse: true,
      },
    ],
    ['sallyport', systemIssuer(keyring, 86_400)],
  ]);
  const keys = [await verifierOf(ada)];
  verify = createTokenVerifier({
    issuers,
    actorKeys: async ({ namespace, external_id }) => (namespace === 'root' && external_id === 'ada' ? keys : []),
    useNonce,
    clock: () => NOON,
  });
});

async function refusal(token: string, audience = 'api'): Promise<unknown> {
  return verify(token, audience).then(
    () => 'accepted',
    (error: unknown) => {
      expect(error).toMatchObject({ status: 401 });
      return (error as { code: string }).code;
    },
  );
}

const madeFor = { id: 'act_1', namespace: 'root', external_id: 'ada', token_generation: 3 };

describe('a token that holds', () => {
  test('of an issuer that is accepted', async () => {
    expect(await verify(await sign(host, { namespace: 'root.a', jti: 'jti_1' }, { kid: 'h1' }), 'api')).toEqual({
      ...{ namespace: 'root.a', external_id: 'ada', issuer: 'host', kid: 'h1', jti: 'jti_1', expires: NOW + 600, signer: 'issuer' },
      ...{ audiences: ['api'], single_use: false, restriction: undefined, definition: undefined, system: undefined },
    });
    expect(await verify(await sign(host, { nonce: 'once' }, { kid: 'h1' }), 'api')).toMatchObject({ single_use: true });
  });

  test('of this system, with the key of now and with the one before', async () => {
    const mint = createTokenMint({ issuer: 'sallyport', keyring, longestLife: 86_400, clock: () => NOON });
    const now = await mint({ actor: madeFor, session: 'sess_1', audiences: ['api', 'public'], lifetime: 60 });
    expect(await verify(now.token.reveal(), 'public')).toMatchObject({
      ...{ signer: 'system', kid: 'ekv_2', expires: NOW + 60 },
      system: { actor_id: 'act_1', generation: 3, session_id: 'sess_1' },
    });
    const older = createTokenMint({ issuer: 'sallyport', keyring: systemKeyring(() => versions.slice(1)), longestLife: 86_400, clock: () => NOON });
    const before = await older({ actor: madeFor, audiences: ['api'], lifetime: 60 });
    expect(await verify(before.token.reveal(), 'api')).toMatchObject({ kid: 'ekv_1' });
    const gone = createTokenMint({
      issuer: 'sallyport',
      keyring: systemKeyring(() => [{ id: 'ekv_0', material: Buffer.alloc(32, 1) }]),
      longestLife: 86_400,
      clock: () => NOON,
    });
    expect(await refusal((await gone({ actor: madeFor, audiences: ['api'], lifetime: 60 })).token.reveal())).toBe('token_invalid');
  });

  test('of an actor, for itself', async () => {
    expect(await verify(await sign(ada, { iss: 'ada' }), 'api')).toMatchObject({ signer: 'actor', external_id: 'ada' });
  });

  test.each(['rsa', 'P-256', 'P-384', 'P-521', 'ed25519'] as const)('signed with %s', async (kind) => {
    const signer = newSigner(kind);
    const key = await verifierOf(signer);
    const verifyIt = createTokenVerifier({ issuers: new Map(), actorKeys: async () => [key], useNonce: async () => true, clock: () => NOON });
    expect(await verifyIt(await sign(signer, { iss: 'ada' }), 'api')).toMatchObject({ kid: key.kid });
  });

  test('with an empty list of permissions is one that may do nothing', async () => {
    expect((await verify(await sign(host, { permissions: [] }), 'api')).restriction).toEqual({ kind: 'nothing' });
    expect((await verify(await sign(host, { permissions: [agentPermission] }), 'api')).restriction).toEqual(permissionsOf([agentPermission]));
  });
});

describe('a token that is refused', () => {
  test('`permissions` that is there and no list: it is not taken for no limit', async () => {
    for (const permissions of [null, '', {}, false]) expect(await refusal(await sign(host, { permissions }))).toBe('token_invalid');
  });

  test.each(['sub', 'iss', 'namespace', 'jti', 'nonce'])('half of a surrogate pair in `%s`, which a database would make another name of', (claim) => {
    const text = (value: string) => Buffer.from(JSON.stringify({ iss: 'i', sub: 's', aud: 'api', exp: 1, [claim]: value }));
    for (const half of ['a\ud800', '\udc00a']) expect(() => readClaims(text(half))).toThrow(expect.objectContaining({ code: 'token_invalid' }));
    if (claim !== 'namespace') expect(() => readClaims(text('a\ud83d\ude00'))).not.toThrow();
  });

  test('signed by this system, and does not say which actor, or which generation of tokens, it was made for', async () => {
    const key = keyring.current();
    const own = (claims: Record<string, unknown>) =>
      new SignJWT({ iss: 'sallyport', sub: 'ada', aud: 'api', exp: NOW + 60, ...claims })
        .setProtectedHeader({ alg: 'HS256', kid: key.kid })
        .sign(key.key);
    expect(await verify(await own({ actor_id: 'act_1', generation: 1 }), 'api')).toMatchObject({ signer: 'system' });
    for (const bad of [
      {},
      { actor_id: 'act_1' },
      { generation: 1 },
      { actor_id: 'act_1', generation: '1' },
      { actor_id: 'act_1', generation: 1, session_id: null },
    ]) {
      expect(await refusal(await own(bad))).toBe('token_invalid');
    }
    // What others write into claims of these names is theirs.
    expect(await verify(await sign(host, { actor_id: 7, session_id: null }), 'api')).toMatchObject({ signer: 'issuer', system: undefined });
  });

  test.each(['none', 'None', 'nOnE', ''])('algorithm «%s»', async (alg) => {
    expect(await refusal(forge({ alg }, claims, ''))).toBe('token_invalid');
    expect(await refusal(forge({ alg }, claims))).toBe('token_invalid');
  });

  test('signed as a shared secret with the public key of the issuer', async () => {
    for (const [issuer, signer] of [
      ['host', host],
      ['rsa', rsaHost],
    ] as const) {
      const publicKey = createPublicKey({ key: signer.publicJwk, format: 'jwk' });
      for (const secret of [
        publicKey.export({ type: 'spki', format: 'pem' }),
        publicKey.export({ type: 'spki', format: 'der' }),
        JSON.stringify(signer.publicJwk),
      ]) {
        const [header, payload] = forge({ alg: 'HS256' }, { ...claims, iss: issuer, jti: 'jti_1' }).split('.');
        const mac = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url');
        expect(await refusal(`${header}.${payload}.${mac}`)).toBe('token_invalid');
      }
    }
  });

  test('another algorithm of the same key', async () => {
    expect(await refusal(await sign({ ...rsaHost, algorithm: 'PS256' }, { iss: 'rsa', jti: 'j' }))).toBe('token_invalid');
    expect(await refusal(await sign({ ...rsaHost, algorithm: 'RS512' }, { iss: 'rsa', jti: 'j' }))).toBe('token_invalid');
  });

  test('the key of another kind, of another issuer, of another actor', async () => {
    expect(await refusal(await sign(newSigner('ed25519'), {}))).toBe('token_invalid');
    expect(await refusal(await sign(newSigner('P-256'), {}, { kid: 'h1' }))).toBe('token_invalid');
    expect(await refusal(await sign(host, { iss: 'sallyport' }, { kid: 'ekv_2' }))).toBe('token_invalid');
    expect(await refusal(await sign(ada, { iss: 'bob', sub: 'bob' }))).toBe('token_invalid');
    expect(await refusal(await sign(ada, { iss: 'ada', namespace: 'root.a' }))).toBe('token_invalid');
    expect(await refusal(await sign(host, { iss: 'ada' }))).toBe('token_invalid');
  });

  test('an unknown kid', async () => {
    expect(await refusal(await sign(host, {}, { kid: 'h2' }))).toBe('token_invalid');
  });

  test('expired', async () => {
    expect(await refusal(await sign(host, { exp: NOW - 31 }))).toBe('token_expired');
    expect(await refusal(await sign(host, { exp: NOW - 29 }))).toBe('accepted');
  });

  test('from the future', async () => {
    expect(await refusal(await sign(host, { nbf: NOW + 31 }))).toBe('token_not_yet_valid');
    expect(await refusal(await sign(host, { iat: NOW + 31 }))).toBe('token_not_yet_valid');
    expect(await refusal(await sign(host, { nbf: NOW + 29 }))).toBe('accepted');
  });

  test('without exp, or with one that is no time', async () => {
    for (const exp of [undefined, '9999999999', null, -1, 1e300, true]) {
      const { exp: _, ...rest } = claims;
      const payload = exp === undefined ? rest : { ...rest, exp };
      expect(await refusal(forge({ alg: 'ES256' }, payload))).toBe('token_invalid');
    }
    expect(await refusal(await sign(host, { exp: undefined }))).toBe('token_invalid');
  });

  test('with exp too far away, from now or from when it was made', async () => {
    expect(await refusal(await sign(host, { exp: NOW + 3631 }))).toBe('token_lives_too_long');
    expect(await refusal(await sign(host, { iat: undefined, exp: NOW + 3631 }))).toBe('token_lives_too_long');
    expect(await refusal(await sign(host, { iat: NOW - 7200, exp: NOW + 60 }))).toBe('token_lives_too_long');
  });

  test('for another audience, or for none', async () => {
    expect(await refusal(await sign(host, { aud: 'admin-api' }))).toBe('token_audience_wrong');
    expect(await refusal(await sign(host, { aud: ['public', 'worker'] }))).toBe('token_audience_wrong');
    expect(await refusal(await sign(host, { aud: [] }))).toBe('token_invalid');
    expect(await refusal(await sign(host, { aud: undefined }))).toBe('token_invalid');
  });

  test('of an issuer that is not on the list', async () => {
    expect(await refusal(await sign(host, { iss: 'https://evil.example' }))).toBe('token_invalid');
    expect(await refusal(await sign(host, { iss: undefined }))).toBe('token_invalid');
    expect(await refusal(await sign(host, { iss: 'constructor' }))).toBe('token_invalid');
  });

  test('of an issuer that does not speak for the namespace', async () => {
    expect(await refusal(await sign(rsaHost, { iss: 'rsa', jti: 'a1', namespace: 'root.other' }))).toBe('token_invalid');
    expect(await refusal(await sign(rsaHost, { iss: 'rsa', jti: 'a2', namespace: 'root.rsa2' }))).toBe('token_invalid');
    expect(await refusal(await sign(rsaHost, { iss: 'rsa', jti: 'a3', namespace: 'root.rsa.sub' }))).toBe('accepted');
  });

  test('used a second time', async () => {
    const withNonce = await sign(host, { nonce: 'non_1' });
    expect(await refusal(withNonce)).toBe('accepted');
    expect(await refusal(withNonce)).toBe('token_replayed');
    expect(await refusal(await sign(host, { nonce: 'non_1', exp: NOW + 300 }))).toBe('token_replayed');
    const single = await sign(rsaHost, { iss: 'rsa', namespace: 'root.rsa', jti: 'j1' });
    expect(await refusal(single)).toBe('accepted');
    expect(await refusal(single)).toBe('token_replayed');
    expect(await refusal(await sign(rsaHost, { iss: 'rsa', namespace: 'root.rsa' }))).toBe('token_invalid');
  });

  test('a nonce is not used up by a token that does not hold', async () => {
    expect(await refusal(await sign(newSigner('P-256'), { nonce: 'non_2' }))).toBe('token_invalid');
    expect(await refusal(await sign(host, { nonce: 'non_2', exp: NOW - 100 }))).toBe('token_expired');
    expect(await refusal(await sign(ada, { iss: 'ada', nonce: 'non_2' }))).toBe('accepted');
    expect(await refusal(await sign(host, { nonce: 'non_2' }))).toBe('accepted');
  });

  test.each([
    ['crit', ['exp']],
    ['crit', []],
    ['b64', false],
    ['jwk', host.publicJwk],
    ['jku', 'https://evil.example/keys'],
    ['x5u', 'https://evil.example/cert'],
    ['x5c', []],
    ['zip', 'DEF'],
  ])('a header with %s', async (name, value) => {
    expect(await refusal(forge({ alg: 'ES256', [name]: value }, claims))).toBe('token_invalid');
  });

  test('of another type', async () => {
    expect(await refusal(await sign(host, {}, { typ: 'dpop+jwt' }))).toBe('token_invalid');
    expect(await refusal(await sign(host, {}, { typ: 'JWT' }))).toBe('accepted');
  });

  test('too long', async () => {
    expect(await refusal(await sign(host, { padding: 'x'.repeat(16_384) }))).toBe('token_invalid');
  });

  test('with permissions that cannot be read: never as one without a limit', async () => {
    for (const permissions of [{}, 'all', [{}], [{ namespace: 'root', resources: ['*'], verbs: ['*'], resource_ids: [] }], 0, false, '']) {
      expect(await refusal(await sign(host, { permissions }))).toBe('token_invalid');
    }
  });

  test('with any change of any character', async () => {
    const token = await sign(host, {});
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...'AQgw_-.x0='), async (at, character) => {
        fc.pre(token[at] !== character);
        expect(await refusal(token.slice(0, at) + character + token.slice(at + 1))).not.toBe('accepted');
      }),
    );
  });

  test('any text', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.jsonValue().map((value) => forge(value, value)),
        ),
        async (text) => {
          expect(await refusal(text)).toBe('token_invalid');
        },
      ),
    );
  });
});

describe('the description of an actor in a token', () => {
  const actor = { external_id: 'ada', namespace: 'root', permissions: [{ namespace: 'root.**', resources: ['*'], verbs: ['*'] }] };

  test('a self-signing actor cannot widen itself with it', async () => {
    expect((await verify(await sign(ada, { iss: 'ada', actor }), 'api')).definition).toBeUndefined();
  });

  test('counts only from an issuer that may define actors', async () => {
    expect((await verify(await sign(host, { actor }), 'api')).definition).toBeUndefined();
    const token = await sign(rsaHost, { iss: 'rsa', jti: 'd1', namespace: 'root.rsa', actor });
    expect((await verify(token, 'api')).definition).toEqual({ actor, within: everything });
  });
});

test('the leeway is bounded', () => {
  const signer: Signer = host;
  expect(signer.algorithm).toBe('ES256');
  expect(() => createTokenVerifier({ issuers: new Map(), actorKeys: async () => [], useNonce: async () => true, leeway: 301 })).toThrow(RangeError);
});
