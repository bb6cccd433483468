import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '@sallyport/sdk';
import { describe, expect, test } from 'vitest';
import { folder, verifierWith } from './control-server.test.support.js';
import { createRequestSigner } from './request-token.js';
import { type KeyAsking, readPrivateKey, readSecretKey } from './signing-key.js';

const identity = { actor: 'ada', namespace: 'root.team', issuer: 'ada', keyId: undefined };

function asking(...passphrases: string[]): KeyAsking & { warnings: string[] } {
  const warnings: string[] = [];
  return {
    warnings,
    passphrase: async (attempt) => (passphrases[attempt] === undefined ? null : new Secret(passphrases[attempt])),
    warn: (text) => void warnings.push(text),
  };
}

const publicOf = (key: KeyObject): string => createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();

/** What the key signs holds for the server that knows the public half. */
async function signsFor(path: string, publicKey: string, ask: KeyAsking, algorithm: string): Promise<void> {
  const key = await readPrivateKey(path, ask);
  expect(key.algorithm).toBe(algorithm);
  const token = await createRequestSigner({ identity, key }).tokenFor('api');
  const verify = await verifierWith({ publicKey });
  expect(await verify(token.reveal(), 'api')).toMatchObject({ external_id: 'ada', signer: 'actor', kid: key.kid });
}

const sshKinds = [
  ['ed25519', [], 'EdDSA'],
  ['rsa', ['-b', '2048'], 'RS256'],
  ['ecdsa', ['-b', '256'], 'ES256'],
  ['ecdsa', ['-b', '384'], 'ES384'],
  ['ecdsa', ['-b', '521'], 'ES512'],
] as const;

function sshKeygen(kind: string, more: readonly string[], passphrase = '', format: readonly string[] = []): string {
  const path = join(folder().path, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', kind, ...more, '-N', passphrase, '-a', '1', ...format, '-f', path]);
  return path;
}

describe('keys of ssh-keygen', () => {
  test.each(sshKinds)('%s %j', async (kind, more, algorithm) => {
    const path = sshKeygen(kind, more);
    await signsFor(path, readFileSync(`${path}.pub`, 'utf8'), asking(), algorithm);
  });

  test.each(sshKinds)('%s %j with a passphrase', async (kind, more, algorithm) => {
    const path = sshKeygen(kind, more, 'open sesame');
    await signsFor(path, readFileSync(`${path}.pub`, 'utf8'), asking('open sesame'), algorithm);
  });

  test('in PEM with a passphrase, as older versions wrote them', async () => {
    const path = sshKeygen('rsa', ['-b', '2048'], 'open sesame', ['-m', 'PEM']);
    expect(readFileSync(path, 'utf8')).toContain('Proc-Type: 4,ENCRYPTED');
    await signsFor(path, readFileSync(`${path}.pub`, 'utf8'), asking('open sesame'), 'RS256');
  });
});

describe('keys in PEM', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;
  const ed = generateKeyPairSync('ed25519').privateKey;
  const cases: readonly (readonly [string, KeyObject, 'pkcs1' | 'sec1' | 'pkcs8', string])[] = [
    ['RSA, PKCS#1', rsa, 'pkcs1', 'RS256'],
    ['RSA, PKCS#8', rsa, 'pkcs8', 'RS256'],
    ['P-256, SEC1', ec('P-256'), 'sec1', 'ES256'],
    ['P-384, PKCS#8', ec('P-384'), 'pkcs8', 'ES384'],
    ['P-521, SEC1', ec('P-521'), 'sec1', 'ES512'],
    ['Ed25519, PKCS#8', ed, 'pkcs8', 'EdDSA'],
  ];

  test.each(cases)('%s', async (_, key, type, algorithm) => {
    const place = folder();
    // Tools of OpenSSL write the parameters of a curve before the key.
    const parameters = type === 'sec1' ? '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n' : '';
    const text = parameters + String(key.export({ type, format: 'pem' }));
    await signsFor(place.file('plain', text), publicOf(key), asking(), algorithm);
  });

  test('encrypted PKCS#8: wrong passphrases are asked again, three times', async () => {
    const place = folder();
    const pem = String(ed.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'right' }));
    const path = place.file('key', pem);
    await signsFor(path, publicOf(ed), asking('wrong', 'wrong too', 'right'), 'EdDSA');
    await expect(readPrivateKey(path, asking('a', 'b', 'c', 'right'))).rejects.toThrow('the passphrase is wrong');
    await expect(readPrivateKey(path, asking('a'))).rejects.toThrow('the passphrase is wrong');
    await expect(readPrivateKey(path, asking())).rejects.toMatchObject({ hint: expect.stringContaining('SALLYPORT_KEY_PASSPHRASE') });
  });
});

describe('what cannot sign', () => {
  test('a wrong passphrase of an OpenSSH key', async () => {
    await expect(readPrivateKey(sshKeygen('ed25519', [], 'right'), asking('wrong'))).rejects.toMatchObject({
      code: 'signing_key_invalid',
      message: expect.stringContaining('the passphrase is wrong'),
    });
  });

  test('a public key: the hint names the private one', async () => {
    const path = `${sshKeygen('ed25519', [])}.pub`;
    await expect(readPrivateKey(path, asking())).rejects.toMatchObject({
      message: expect.stringContaining('is a public key'),
      hint: expect.stringContaining(path.slice(0, -4)),
    });
    const { publicKey } = generateKeyPairSync('ed25519');
    const pem = folder().file('p', publicKey.export({ type: 'spki', format: 'pem' }).toString());
    await expect(readPrivateKey(pem, asking())).rejects.toThrow('is a public key');
  });

  const weak = (key: KeyObject): string => String(key.export({ type: 'pkcs8', format: 'pem' }));
  test.each([
    ['RSA of 1024 bits', () => weak(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey), '1024 bits'],
    ['secp256k1', () => weak(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey), 'is of a kind'],
    ['Ed448', () => weak(generateKeyPairSync('ed448').privateKey), 'is of a kind'],
    ['X25519', () => weak(generateKeyPairSync('x25519').privateKey), 'is of a kind'],
    ['damaged PEM', () => '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----', 'is not a private key that can be read'],
    [
      'damaged OpenSSH',
      () => '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----',
      'is not a private key that can be read',
    ],
    ['something else', () => 'hello', 'is not a private key'],
    ['a large file', () => 'x'.repeat(70_000), 'larger than 64 KiB'],
  ])('%s', async (_, text, said) => {
    const failure: unknown = await readPrivateKey(folder().file('key', text()), asking()).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'signing_key_invalid', message: expect.stringContaining(said) });
  });

  test('what is not there', async () => {
    await expect(readPrivateKey('/nowhere/key', asking())).rejects.toThrow('cannot be read (ENOENT)');
  });
});

test('a key that others can read is used with a warning', async () => {
  const ask = asking();
  await readPrivateKey(folder().file('key', String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })), 0o644), ask);
  expect(ask.warnings).toEqual([expect.stringContaining('chmod 600')]);
});

describe('a shared secret', () => {
  const secret = Buffer.alloc(32, 7).toString('base64');

  test('signs for actors in the name of the host that has it', async () => {
    const key = await readSecretKey(folder().file('secret', `${secret}\n`), 'host-key', asking());
    const token = await createRequestSigner({ identity: { ...identity, issuer: 'host' }, key }).tokenFor('api');
    expect(await (await verifierWith({ secret }))(token.reveal(), 'api')).toMatchObject({ external_id: 'ada', signer: 'issuer', kid: 'host-key' });
  });

  test.each([
    ['', 'is not a shared secret in base64'],
    ['no base64!', 'is not a shared secret in base64'],
    [Buffer.alloc(31).toString('base64'), 'holds 31 bytes'],
  ])('%j is none', async (text, said) => {
    await expect(readSecretKey(folder().file('secret', text), undefined, asking())).rejects.toThrow(said);
  });
});
