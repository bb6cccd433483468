import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CertificateConfig, claims, closeness, compileCertificatePattern, parseFingerprint, parseNamePattern } from './certificate-pattern.js';
import { clientAuthority } from './client-authority.test.support.js';
import type { CertificateName, ClientCertificate } from './client-certificate.js';
import { clientCertificate } from './client-certificate.js';
import { parseDistinguishedName } from './distinguished-name.js';

const named = (text: string): CertificateName => {
  const colon = text.indexOf(':');
  return { kind: text.slice(0, colon) as CertificateName['kind'], value: text.slice(colon + 1) };
};

describe('a name pattern', () => {
  test.each([
    ['dns:a.example.com', ['dns:a.example.com'], ['dns:b.example.com', 'dns:a.example.com.evil', 'uri:a.example.com', 'email:a.example.com']],
    ['dns:A.Example.com', ['dns:a.example.com'], []],
    [
      'dns:*.example.com',
      ['dns:a.example.com'],
      ['dns:example.com', 'dns:a.b.example.com', 'dns:aexample.com', 'dns:a.example.com.evil', 'dns:.example.com'],
    ],
    ['dns:web.*.example.com', ['dns:web.eu.example.com'], ['dns:web.example.com', 'dns:web.a.b.example.com', 'dns:x.eu.example.com']],
    ['uri:spiffe://acme/web', ['uri:spiffe://acme/web'], ['uri:spiffe://acme/web/', 'uri:spiffe://acme/Web', 'uri:spiffe://acme.evil/web']],
    [
      'uri:spiffe://acme/ns/*/web',
      ['uri:spiffe://acme/ns/prod/web'],
      [
        'uri:spiffe://acme/ns/a/b/web',
        'uri:spiffe://acme/ns//web',
        'uri:spiffe://acme.evil/ns/a/web',
        'uri:spiffe://acme/ns/a?/web',
        'uri:spiffe://acme/ns/a#/web',
      ],
    ],
    ['uri:spiffe://acme/ns/**', ['uri:spiffe://acme/ns/a/b', 'uri:spiffe://acme/ns'], ['uri:spiffe://acme/nsx', 'uri:spiffe://acmex/ns/a']],
    ['ip:10.0.0.1', ['ip:10.0.0.1'], ['ip:10.0.0.10', 'dns:10.0.0.1']],
    ['ip:2001:DB8:0:0::1', ['ip:2001:db8::1'], []],
    ['email:ops@Acme.example', ['email:ops@acme.example'], ['email:Ops@acme.example', 'email:ops@acme.example.evil']],
  ])('%s', (pattern, fitting, others) => {
    const { fits } = parseNamePattern(pattern);
    expect(fitting.filter((name) => !fits(named(name)))).toEqual([]);
    expect(others.filter((name) => fits(named(name)))).toEqual([]);
  });

  test.each([
    'a.example.com',
    'DNS:a.example.com',
    'dns:',
    'dns:a..b',
    'dns:*',
    'dns:*.com',
    'dns:a*.example.com',
    'dns:example.*',
    'dns:*.*.*',
    'dns:ä.example.com',
    'uri:not a uri',
    'uri:spiffe://*/web',
    'uri:*://acme/web',
    'uri:urn:x:*',
    'uri:spiffe://acme/a**b',
    'ip:10.0.0',
    'ip:10.0.0.0/8',
    'email:acme.example',
    'email:a@b@c d',
    `dns:${'a.'.repeat(2_000)}a`,
  ])('refuses %s', (pattern) => {
    expect(() => parseNamePattern(pattern)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });

  test('a star never reaches over a border', () => {
    const label = fc.string({ unit: fc.constantFrom('a', 'b', '-', '1'), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 5 }), fc.constantFrom('dns', 'uri'), (labels, kind) => {
        const dns = kind === 'dns';
        const { fits } = parseNamePattern(dns ? 'dns:*.example.com' : 'uri:spiffe://acme/x/*/y');
        const name: CertificateName = dns
          ? { kind: 'dns', value: [...labels, 'example.com'].join('.') }
          : { kind: 'uri', value: `spiffe://acme/x/${labels.join('/')}/y` };
        expect(fits(name)).toBe(labels.length === 1);
      }),
    );
  });
});

test('a fingerprint is read with and without colons', () => {
  const plain = '0a'.repeat(32);
  for (const text of [plain, plain.toUpperCase(), `sha256:${plain}`, `SHA256:${'0A:'.repeat(31)}0A`]) expect(parseFingerprint(text)).toBe(plain);
  for (const text of ['', plain.slice(1), `${plain}0`, `sha1:${plain}`, `${'0a:'.repeat(32)}`, `g${plain.slice(1)}`]) {
    expect(() => parseFingerprint(text)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  }
});

describe('a pattern', () => {
  const one: ClientCertificate = {
    fingerprint: 'ab'.repeat(32),
    subject: parseDistinguishedName('CN=a,O=b'),
    issuer: parseDistinguishedName('CN=ca'),
    names: [named('dns:a.example.com'), named('uri:spiffe://acme/a')],
  };
  const fits = (config: CertificateConfig, certificate = one): boolean => closeness(compileCertificatePattern(config), certificate) >= 0;

  test('fits when everything that it says does', () => {
    expect(fits('any')).toBe(true);
    expect(fits({ subject: 'O=b,CN=a', issuer: 'CN=ca', san: ['dns:x', 'dns:a.example.com'], fingerprint: ['AB'.repeat(32)] })).toBe(true);
    expect(fits({ subject: 'CN=a' })).toBe(false);
    expect(fits({ subject: 'CN=a,O=b', issuer: 'CN=cb' })).toBe(false);
    expect(fits({ subject: 'CN=a,O=b', san: ['dns:x'] })).toBe(false);
    expect(fits({ san: ['dns:a.example.com'], fingerprint: ['cd'.repeat(32)] })).toBe(false);
  });

  test('that asks for what a balancer did not tell does not fit', () => {
    const told: ClientCertificate = { fingerprint: null, subject: null, issuer: null, names: [] };
    expect(fits('any', told)).toBe(true);
    for (const config of [{ subject: 'CN=a' }, { issuer: 'CN=a' }, { san: ['dns:a.b'] }, { fingerprint: ['ab'.repeat(32)] }])
      expect(fits(config, told)).toBe(false);
  });

  test('claims the same as another that says the same in other words', () => {
    const share = (left: CertificateConfig, right: CertificateConfig): boolean => {
      const claimed = claims(compileCertificatePattern(left));
      return claims(compileCertificatePattern(right)).some((claim) => claimed.includes(claim));
    };
    expect(share('any', 'any')).toBe(true);
    expect(share({ subject: 'CN=a,O=b' }, { subject: 'O = b, CN = a' })).toBe(true);
    expect(share({ san: ['dns:a.b', 'dns:c.d'] }, { san: ['dns:e.f', 'dns:A.B'] })).toBe(true);
    expect(share({ fingerprint: ['ab'.repeat(32)] }, { fingerprint: [`sha256:${'AB'.repeat(32)}`] })).toBe(true);
    expect(share('any', { subject: 'CN=a' })).toBe(false);
    expect(share({ san: ['dns:a.b'] }, { san: ['dns:a.b'], issuer: 'CN=a' })).toBe(false);
    expect(share({ san: ['dns:*.a.b'] }, { san: ['dns:x.a.b'] })).toBe(false);
  });
});

test('of a certificate only names count that can be one name', async () => {
  const authority = await clientAuthority('Clients');
  const issued = await authority.issue({
    names: [
      { type: 'dns', value: 'A.example.com' },
      { type: 'dns', value: '*.example.com' },
      { type: 'dns', value: 'admin.example.com\0.evil.example' },
      { type: 'dns', value: 'b.example.com, DNS:admin.example.com' },
      { type: 'url', value: 'spiffe://acme/a' },
      { type: 'url', value: 'spiffe://acme/a b' },
      { type: 'email', value: 'ops@ACME.example' },
      { type: 'ip', value: '10.0.0.1' },
      { type: 'ip', value: '2001:db8::1' },
    ],
  });
  expect(clientCertificate(issued.x509)).toEqual({
    fingerprint: issued.x509.fingerprint256.replaceAll(':', '').toLowerCase(),
    subject: parseDistinguishedName('CN=client'),
    issuer: parseDistinguishedName('CN=Clients'),
    names: ['dns:a.example.com', 'uri:spiffe://acme/a', 'email:ops@acme.example', 'ip:10.0.0.1', 'ip:2001:db8::1'].map(named),
  });
});
