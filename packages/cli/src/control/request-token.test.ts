import { createPrivateKey } from 'node:crypto';
import { inspect } from 'node:util';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { describe, expect, test } from 'vitest';
import { newKey, verifierWith } from './control-server.test.support.js';
import { createRequestSigner } from './request-token.js';

const { privatePem, publicPem } = newKey();
const key = { algorithm: 'EdDSA', key: createPrivateKey(privatePem), kid: undefined } as const;
const identity = { actor: 'ada', namespace: 'root.team', issuer: 'ada', keyId: undefined };

describe('tokens for requests', () => {
  test('hold for the service they are for, and for no other', async () => {
    const signer = createRequestSigner({ identity, key });
    const verify = await verifierWith({ publicKey: publicPem });
    const token = (await signer.tokenFor('admin-api')).reveal();
    expect(await verify(token, 'admin-api')).toMatchObject({ namespace: 'root.team', external_id: 'ada', issuer: 'ada', restriction: undefined });
    await expect(verify(token, 'api')).rejects.toMatchObject({ code: 'token_audience_wrong' });
    const { exp = 0, iat = 0, jti } = decodeJwt(token);
    expect(exp - iat).toBeLessThanOrEqual(300);
    expect(jti).toMatch(/^jti_/);
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'EdDSA', typ: 'JWT' });
  });

  test('are used again until a minute before their end, for each service apart; a clock set back makes a new one', async () => {
    let now = 1_800_000_000_000;
    const signer = createRequestSigner({ identity, key, clock: () => now });
    const first = await signer.tokenFor('api');
    expect(await signer.tokenFor('admin-api')).not.toBe(first);
    now += 239_000;
    expect(await signer.tokenFor('api')).toBe(first);
    now += 1_000;
    const second = await signer.tokenFor('api');
    expect(second).not.toBe(first);
    now -= 10_000;
    expect(await signer.tokenFor('api')).not.toBe(second);
  });

  test('that many ask for at once is signed once', async () => {
    const signer = createRequestSigner({ identity, key });
    const tokens = await Promise.all(Array.from({ length: 20 }, () => signer.tokenFor('api')));
    expect(new Set(tokens).size).toBe(1);
    expect(inspect(tokens[0])).toContain('[secret]');
  });
});

test('a token for one use is taken once', async () => {
  const verify = await verifierWith({ publicKey: publicPem });
  const token = await createRequestSigner({ identity, key }).sign({ audiences: ['public'], lifetime: 60, singleUse: true });
  await verify(token.reveal(), 'public');
  await expect(verify(token.reveal(), 'public')).rejects.toMatchObject({ code: 'token_replayed' });
});

test('a token may limit itself', async () => {
  const verify = await verifierWith({ publicKey: publicPem });
  const permissions = [{ namespace: 'root.team.**', resources: ['actors'], verbs: ['list'] }];
  const token = await createRequestSigner({ identity, key }).sign({ audiences: ['api'], lifetime: 60, permissions });
  expect((await verify(token.reveal(), 'api')).restriction).toBeDefined();
});

test('a key id that is given is the kid of the token', async () => {
  const token = await createRequestSigner({ identity: { ...identity, keyId: 'k1' }, key: { ...key, kid: 'k0' } }).sign({
    audiences: ['api'],
    lifetime: 60,
  });
  expect(decodeProtectedHeader(token.reveal()).kid).toBe('k1');
});
