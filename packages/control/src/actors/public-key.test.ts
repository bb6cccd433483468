import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import sshpk from 'sshpk';
import { describe, expect, test } from 'vitest';
import { keyObjectOf, parsePublicKey, parsePublicKeys, publicKeyFromJwk } from './public-key.js';
import { hasRocaFingerprint } from './roca.js';

const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  ed25519: generateKeyPairSync('ed25519'),
};

function pem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

function sshLine(key: KeyObject): string {
  if (key.asymmetricKeyType !== 'ed25519') return `${sshpk.parseKey(pem(key), 'pem').toString('ssh')} somebody@example.com`;
  const point = Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');
  const field = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  return `ssh-ed25519 ${Buffer.concat([field(Buffer.from('ssh-ed25519')), field(point)]).toString('base64')}`;
}

describe.each(Object.entries(pairs))('a public key of kind %s', (kind, { publicKey, privateKey }) => {
  test('is the same key as an OpenSSH line, PEM and JWK, and verifies', async () => {
    const keys = [
      await parsePublicKey(sshLine(publicKey)),
      await parsePublicKey(pem(publicKey)),
      await parsePublicKey(JSON.stringify(publicKey.export({ format: 'jwk' }))),
    ];
    expect(new Set(keys.map(({ thumbprint }) => thumbprint)).size).toBe(1);
    expect(keys[0]?.algorithm).toBe({ rsa: 'RS256', 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512', ed25519: 'EdDSA' }[kind]);
    const hash = kind === 'ed25519' ? null : 'sha256';
    const signature = sign(hash, Buffer.from('text'), privateKey);
    for (const key of keys) expect(verify(hash, Buffer.from('text'), keyObjectOf(key), signature)).toBe(true);
  });

  test('is refused when it is the private one', async () => {
    await expect(parsePublicKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())).rejects.toThrow('private key');
    await expect(publicKeyFromJwk(privateKey.export({ format: 'jwk' }))).rejects.toThrow('private or shared key');
  });
});

describe('parsePublicKeys', () => {
  test('reads all of a file', async () => {
    const text = `# the keys of ada\n\n${sshLine(pairs.ed25519.publicKey)}\r\n${pem(pairs.rsa.publicKey)}${sshLine(pairs['P-256'].publicKey)}\n`;
    expect((await parsePublicKeys(text)).map(({ algorithm }) => algorithm).sort()).toEqual(['ES256', 'EdDSA', 'RS256']);
    expect(await parsePublicKeys('# nothing\n')).toEqual([]);
    await expect(parsePublicKey(text)).rejects.toThrow('more than one');
    await expect(parsePublicKey('')).rejects.toThrow('no key');
  });

  test('reads PKCS#1', async () => {
    const text = pairs.rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString();
    expect((await parsePublicKey(text)).thumbprint).toBe((await parsePublicKey(pem(pairs.rsa.publicKey))).thumbprint);
  });

  test.each([
    ['RSA with too few bits', () => pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)],
    ['RSA with a small exponent', () => pem(generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey)],
    ['another curve', () => pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)],
    ['X25519', () => pem(generateKeyPairSync('x25519').publicKey)],
    ['Ed448', () => pem(generateKeyPairSync('ed448').publicKey)],
    ['RSA-PSS with its own parameters', () => pem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey)],
    ['DSA over SSH', () => 'ssh-dss AAAAB3NzaC1kc3MAAACBAA=='],
    ['options before the line', () => `command="sh" ${sshLine(pairs.ed25519.publicKey)}`],
    ['a line cut short', () => sshLine(pairs.rsa.publicKey).slice(0, 100)],
    ['a certificate', () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
    ['broken PEM', () => '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'],
    ['broken JSON', () => '{"kty":'],
    ['far too much', () => 'x'.repeat(20_000)],
  ])('refuses %s', async (_, text) => {
    await expect(parsePublicKey(text())).rejects.toThrow(expect.objectContaining({ code: 'actor_key_invalid', status: 400 }));
  });

  test('refuses any other text', async () => {
    const prefixes = fc.constantFrom('', '{', 'ssh-rsa ', 'ssh-ed25519 AAAA', 'ecdsa-sha2-nistp256 ', '-----BEGIN PUBLIC KEY-----\n');
    await fc.assert(
      fc.asyncProperty(prefixes, fc.oneof(fc.string(), fc.base64String()), async (prefix, rest) => {
        const keys = await parsePublicKeys(prefix + rest).catch((error: unknown) => error);
        if (!Array.isArray(keys)) expect(keys).toMatchObject({ code: 'actor_key_invalid' });
        else expect(keys).toEqual([]);
      }),
    );
  });
});

describe('publicKeyFromJwk', () => {
  const jwk = pairs['P-256'].publicKey.export({ format: 'jwk' });

  test.each([
    ['for encryption', { use: 'enc' }],
    ['with operations that leave verifying out', { key_ops: ['encrypt'] }],
    ['with operations that do not exist', { key_ops: ['verify', 'sign, verify'] }],
    ['with the algorithm of another curve', { alg: 'ES384' }],
    ['with a shared algorithm', { alg: 'HS256' }],
    ['with a point that is not on its curve', { x: jwk.y, y: jwk.x }],
    ['of another kind', { kty: 'OKP' }],
  ])('refuses a key %s', async (_, change) => {
    await expect(publicKeyFromJwk({ ...jwk, ...change })).rejects.toThrow(expect.objectContaining({ code: 'actor_key_invalid' }));
  });

  test('takes over nothing but the key', async () => {
    const { jwk: kept } = await publicKeyFromJwk({ ...jwk, kid: 'a', use: 'sig', key_ops: ['verify'], alg: 'ES256', x5u: 'https://evil.example' });
    expect(kept).toEqual(jwk);
  });

  test('an RSA key may say which RSA signature it is for', async () => {
    const rsa = pairs.rsa.publicKey.export({ format: 'jwk' });
    expect((await publicKeyFromJwk({ ...rsa, alg: 'PS256' })).algorithm).toBe('PS256');
    await expect(publicKeyFromJwk({ ...rsa, alg: 'ES256' })).rejects.toThrow(expect.objectContaining({ code: 'actor_key_invalid' }));
  });
});

test('keys of honest generators do not have the mark of the weak one', () => {
  const { n = '' } = createPublicKey(pem(pairs.rsa.publicKey)).export({ format: 'jwk' });
  expect(hasRocaFingerprint(BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`))).toBe(false);
  expect(hasRocaFingerprint(65537n ** 40n)).toBe(true);
});
