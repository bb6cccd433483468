import 'reflect-metadata';
import { execFileSync, spawnSync } from 'node:child_process';
import { createPublicKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalHost } from '../policy/canonical-host.js';
import { type Authority, openAuthority } from './authority.js';
import { keyIdentifier, randomSerial } from './certificate-fields.js';
import { elements, TAG } from './der.js';
import { type LeafMinter, leafMinter } from './leaf.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let dir: string;
let authority: Authority;
let minter: LeafMinter;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sallyport-leaf-'));
  authority = await openAuthority({ dir, create: true });
  minter = leafMinter(authority);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9-]{0,18}[a-z0-9])?$/).filter((text) => !text.startsWith('xn--'));
const name = fc
  .tuple(fc.array(label, { maxLength: 8 }), fc.stringMatching(/^[a-z]{2,12}$/))
  .map(([labels, top]) => [...labels, top].join('.'))
  .filter((text) => text.length <= 253);
const host = fc.oneof({ weight: 3, arbitrary: name }, fc.ipV4(), fc.ipV6());

/** The same certificate, made by the library: everything that is not the host is taken from the certificate that is compared. */
async function byLibrary(minted: X509Certificate, subjectName: string): Promise<x509.X509Certificate> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const issuer = new x509.X509Certificate(authority.certificate.raw);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', authority.key.export({ type: 'pkcs8', format: 'der' }), algorithm, false, ['sign']);
  const publicKeyDer = minted.publicKey.export({ type: 'spki', format: 'der' });
  const publicKey = await webcrypto.subtle.importKey('spki', publicKeyDer, algorithm, true, ['verify']);
  const hasCommonName = subjectName.length <= 64;
  return x509.X509CertificateGenerator.create(
    {
      serialNumber: minted.serialNumber,
      issuer: issuer.subjectName,
      subject: new x509.Name(hasCommonName ? [{ CN: [{ utf8String: subjectName }] }] : []),
      notBefore: new Date(minted.validFrom),
      notAfter: new Date(minted.validTo),
      signingAlgorithm: algorithm,
      publicKey,
      signingKey,
      extensions: [
        new x509.SubjectAlternativeNameExtension([{ type: isIP(subjectName) === 0 ? 'dns' : 'ip', value: subjectName }], !hasCommonName),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
}

/** Everything in a certificate but its signature, which differs each time that ECDSA signs. */
function signedPart(der: Buffer): string {
  return elements(elements(der)[0].content)[0].raw.toString('hex');
}

describe('against the library', () => {
  // An authority far in the future is one that no clock can object to: only its validity is changed, which the leaf is cut to.
  const forever = (): Authority => ({ ...authority, notAfter: Date.UTC(2200, 0, 1) });
  const moment = fc.integer({ min: Date.now(), max: Date.UTC(2120, 0, 1) });
  const turnOf2050 = fc.integer({ min: Date.UTC(2049, 11, 1), max: Date.UTC(2050, 1, 1) });

  test('every host at every time: the signed part is the same to the byte, and both read it as meant', async () => {
    const patient = leafMinter(forever());
    await fc.assert(
      fc.asyncProperty(host, fc.oneof(moment, turnOf2050), async (subject, now) => {
        const { pem, notBefore, notAfter } = patient.mint(subject, now);
        const minted = new X509Certificate(pem);
        const library = await byLibrary(minted, canonicalHost(subject).text);
        expect(signedPart(minted.raw)).toBe(signedPart(Buffer.from(library.rawData)));

        expect(Date.parse(minted.validFrom)).toBe(notBefore);
        expect(Date.parse(minted.validTo)).toBe(notAfter);
        expect(minted.verify(createPublicKey(authority.key))).toBe(true);
        expect(minted.checkIssued(authority.certificate)).toBe(true);
        expect(isIP(subject) === 0 ? minted.checkHost(subject) : minted.checkIP(subject)).toBeDefined();
        const parsed = new x509.X509Certificate(pem);
        const issuerKey = new x509.X509Certificate(authority.certificate.raw).publicKey;
        expect(await parsed.verify({ publicKey: issuerKey, signatureOnly: true }, webcrypto)).toBe(true);
        expect(parsed.notBefore.getTime()).toBe(notBefore);
        expect(parsed.notAfter.getTime()).toBe(notAfter);
      }),
      { numRuns: 200 },
    );
  });

  test('the times on both sides of 2050 have the form that RFC 5280 asks for', () => {
    const validity = elements(
      elements(elements(new X509Certificate(leafMinter(forever()).mint('a.test', Date.UTC(2049, 11, 20)).pem).raw)[0].content)[0].content,
    )[4];
    expect(elements(validity.content).map(({ tag }) => tag)).toEqual([TAG.utcTime, TAG.generalizedTime]);
  });

  test('serial numbers are positive, 16 octets and new each time', () => {
    const serials = Array.from({ length: 500 }, () => randomSerial());
    for (const serial of serials) {
      expect(serial.length).toBe(16);
      expect(serial[0]).toBeGreaterThanOrEqual(0x40);
      expect(serial[0]).toBeLessThan(0x80);
    }
    expect(new Set(serials.map((serial) => serial.toString('hex'))).size).toBe(500);
  });
});

describe('what a leaf says', () => {
  test('one name, no authority, for servers only', () => {
    const leaf = new X509Certificate(minter.mint('API.Example.test.', Date.now()).pem);
    expect(leaf.subjectAltName).toBe('DNS:api.example.test');
    expect(leaf.subject).toBe('CN=api.example.test');
    expect(leaf.issuer).toBe(authority.certificate.subject);
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(leaf.checkHost('example.test')).toBeUndefined();
    expect(leaf.checkHost('x.api.example.test')).toBeUndefined();
    const parsed = new x509.X509Certificate(leaf.raw);
    expect(parsed.getExtension(x509.KeyUsagesExtension)?.usages).toBe(x509.KeyUsageFlags.digitalSignature);
    expect(parsed.getExtension(x509.KeyUsagesExtension)?.critical).toBe(true);
    expect(parsed.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(keyIdentifier(authority.key).toString('hex'));
  });

  test('a name of 64 characters is the common name, one of 65 is not and makes the alternative name critical', () => {
    const [short, long] = [`${'a'.repeat(59)}.test`, `${'a'.repeat(60)}.test`];
    const withName = new x509.X509Certificate(minter.mint(short, Date.now()).pem);
    expect(withName.subject).toBe(`CN=${short}`);
    expect(withName.getExtension(x509.SubjectAlternativeNameExtension)?.critical).toBe(false);
    const without = new x509.X509Certificate(minter.mint(long, Date.now()).pem);
    expect(without.subject).toBe('');
    expect(without.getExtension(x509.SubjectAlternativeNameExtension)?.critical).toBe(true);
    expect(new X509Certificate(without.toString()).checkHost(long)).toBe(long);
  });

  test.each(['127.0.0.1', '::1', '[2001:DB8::1]', '::ffff:192.0.2.1'])('the address %s is an address, not a name', (address) => {
    const leaf = new X509Certificate(minter.mint(address, Date.now()).pem);
    expect(leaf.checkIP(address.replace(/[[\]]/g, ''))).toBeDefined();
    expect(leaf.subjectAltName).toMatch(/^IP Address:/);
  });

  test.each(['', '*', '*.example.test', 'a b', 'a\0.test', 'a..test', 'user@a.test', 'a.test/x', 'fe80::1%eth0', `${'a'.repeat(64)}.test`])(
    'no certificate for %j',
    (bad) => {
      expect(() => minter.mint(bad, Date.now())).toThrow(expect.objectContaining({ code: 'target_invalid' }));
    },
  );

  test('leaves share one key, and two minters do not', () => {
    const key = (from: LeafMinter, subject: string): unknown =>
      new X509Certificate(from.mint(subject, Date.now()).pem).publicKey.export({ format: 'jwk' });
    expect(key(minter, 'a.test')).toEqual(key(minter, 'b.test'));
    expect(key(minter, 'a.test')).not.toEqual(key(leafMinter(authority), 'a.test'));
  });
});

describe('validity', () => {
  test('from an hour ago for 30 days', () => {
    const now = authority.notBefore + 10 * DAY + 999;
    const { notBefore, notAfter } = minter.mint('a.test', now);
    expect(now - notBefore).toBe(HOUR + 999);
    expect(notAfter - notBefore).toBe(30 * DAY);
  });

  test('never before or beyond the authority', () => {
    expect(minter.mint('a.test', authority.notBefore).notBefore).toBe(authority.notBefore);
    expect(minter.mint('a.test', authority.notAfter - 2 * HOUR).notAfter).toBe(authority.notAfter);
  });

  test.each([
    ['expired', (): number => authority.notAfter],
    ['not yet valid', (): number => authority.notBefore - 1],
  ])('nothing from an authority that is %s', (_, now) => {
    expect(() => minter.mint('a.test', now())).toThrow(expect.objectContaining({ code: 'authority_invalid' }));
  });
});

test('an authority without a key identifier gets leaves without one for it', async () => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const bare = await x509.X509CertificateGenerator.createSelfSigned(
    { name: 'CN=bare', keys, signingAlgorithm: algorithm, extensions: [new x509.BasicConstraintsExtension(true, 0, true)] },
    webcrypto,
  );
  const certificate = new X509Certificate(Buffer.from(bare.rawData));
  const leaf = leafMinter({ ...authority, certificate }).mint('a.test', Date.now());
  const parsed = new x509.X509Certificate(leaf.pem);
  expect(parsed.issuer).toBe('CN=bare');
  expect(parsed.getExtension(x509.AuthorityKeyIdentifierExtension)).toBeNull();
});

test.skipIf(spawnSync('openssl', ['version']).status !== 0)('openssl verifies the chain in strict mode', async () => {
  for (const [subject, check] of [
    ['api.example.test', '-verify_hostname'],
    ['192.0.2.7', '-verify_ip'],
    ['2001:db8::7', '-verify_ip'],
    [`${'a'.repeat(60)}.example.test`, '-verify_hostname'],
  ]) {
    const file = join(dir, 'leaf.pem');
    await writeFile(file, minter.mint(subject, Date.now()).pem);
    const output = execFileSync(
      'openssl',
      ['verify', '-x509_strict', '-purpose', 'sslserver', '-no-CApath', '-no-CAstore', '-CAfile', authority.certificatePath, check, subject, file],
      { encoding: 'utf8' },
    );
    expect(output).toContain('OK');
  }
});
