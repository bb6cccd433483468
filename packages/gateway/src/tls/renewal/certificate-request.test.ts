import { execFileSync, spawnSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { inspect } from 'node:util';
import type { JsonGeneralName } from '@peculiar/x509';
import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elements } from '../der.js';
import { missingNames, nameText, readNames } from './alternative-names.js';
import { makeRequest, readRequest } from './certificate-request.js';
import { x509Library } from './x509-library.js';

const failure = (work: () => unknown): SallyportError => {
  try {
    work();
  } catch (error) {
    return error as SallyportError;
  }
  throw new Error('it did not fail');
};

describe('names', () => {
  test('are trimmed, canonical and there once; blanks are passed over', () => {
    const names = readNames([' Proxy.Example.COM ', '', '  ', '10.1.2.3', 'proxy.example.com', '2001:DB8:0:0::1', '::1']);
    expect(names.map(nameText)).toEqual(['dns:proxy.example.com', 'ip:10.1.2.3', 'ip:2001:db8::1', 'ip:::1']);
  });

  test.each([
    ['*.example.com', 'every host below it'],
    ['under_score.example', '"under_score"'],
    ['-edge.example', '"-edge"'],
    ['edge-.example', '"edge-"'],
    ['a..b', 'nothing between two dots'],
    ['.example', 'nothing between two dots'],
    ['example.com.', 'dot at the end'],
    [`${'a'.repeat(64)}.example`, '1 to 63'],
    [`${'a.'.repeat(127)}ab`, '256 characters'],
    ['münchen.example', 'xn--'],
    ['https://example.com', 'without a scheme'],
    ['example.com:443', '"com:443"'],
    ['10.1.2.256', 'ends in a number'],
    ['fe80::1%eth0', 'zone'],
    ['a b.example', 'xn--'],
    ['evil.example\n', null],
  ])('%j', (entry, reason) => {
    if (reason === null) expect(readNames([entry])).toHaveLength(1);
    else expect(failure(() => readNames([entry]))).toMatchObject({ code: 'certificate_name_invalid', message: expect.stringContaining(reason) });
  });

  test.each([[[]], [['', ' ']]])('there must be one: %j', (entries) => {
    expect(failure(() => readNames(entries))).toMatchObject({
      code: 'certificate_name_invalid',
      message: expect.stringContaining('No name is given'),
    });
  });

  test('there may be a hundred', () => {
    const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `h${i}.example`);
    expect(readNames(many(100))).toHaveLength(100);
    expect(failure(() => readNames(many(101))).message).toContain('101');
  });

  test('any text is a name or refused with our error', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.domain(), fc.ipV4(), fc.ipV6(), fc.string({ unit: 'binary' })), { maxLength: 5 }), (entries) => {
        try {
          for (const { type, value } of readNames(entries))
            expect(type === 'dns' ? /^[a-z0-9.-]{1,253}$/ : /^[0-9a-f.:]+$/).toSatisfy((r: RegExp) => r.test(value));
        } catch (error) {
          expect(error).toMatchObject({ code: 'certificate_name_invalid' });
        }
      }),
    );
  });

  test('what is missing is named', () => {
    const [a, b] = readNames(['a.example', '::1']);
    expect(missingNames([a, b], [b])).toEqual(['dns:a.example']);
    expect(missingNames([a], [b, a])).toEqual([]);
  });
});

describe('a request', () => {
  test('comes back as it was made, for the public half of its key', async () => {
    const names = readNames(['proxy.example.com', '10.1.2.3', '2001:db8::1']);
    const { key, csr } = await makeRequest({ commonName: 'sallyport', names });
    const read = await readRequest(`some text before\n${csr}`);
    expect(read.names).toEqual(names);
    expect(read.csr).toBe(csr);
    expect(csr).toMatch(/^-----BEGIN CERTIFICATE REQUEST-----\n[\s\S]+\n-----END CERTIFICATE REQUEST-----\n$/);
    expect(read.publicKey.equals(createPublicKey(key))).toBe(true);
    expect(inspect(key)).not.toContain('PRIVATE');
  });

  test.skipIf(spawnSync('openssl', ['version']).status !== 0)('is what openssl reads: signature, key, subject and names', async () => {
    const { csr } = await makeRequest({ commonName: 'Größe, O=not an organization', names: readNames(['proxy.example.com', '10.1.2.3', '::1']) });
    const text = execFileSync('openssl', ['req', '-verify', '-noout', '-text', '-subject', '-nameopt', 'RFC2253,-esc_msb'], {
      input: csr,
      stdio: ['pipe', 'pipe', 'pipe'],
    }).toString();
    expect(text).toContain('subject=CN=Größe\\, O=not an organization');
    expect(text).toContain('ASN1 OID: prime256v1');
    expect(text).toContain('DNS:proxy.example.com, IP Address:10.1.2.3, IP Address:0:0:0:0:0:0:0:1');
    expect(spawnSync('openssl', ['req', '-verify', '-noout'], { input: csr }).status).toBe(0);
  });

  test.each(['', 'a\nb', 'x'.repeat(65)])('takes no common name like %j', async (commonName) => {
    await expect(makeRequest({ commonName, names: readNames(['a.example']) })).rejects.toMatchObject({ code: 'certificate_name_invalid' });
  });

  test('without names has a code of its own', async () => {
    const { csr } = await makeRequest({ commonName: 'x', names: [] });
    await expect(readRequest(csr)).rejects.toMatchObject({ code: 'certificate_request_nameless' });
  });

  test('with kinds of names that are not ours keeps them', async () => {
    const names: JsonGeneralName[] = [
      { type: 'dns', value: 'a.example' },
      { type: 'url', value: 'spiffe://a.example/gateway' },
      { type: 'email', value: 'ops@a.example' },
    ];
    const { csr } = await makeRequest({ commonName: 'x', names });
    expect((await readRequest(csr)).names).toEqual(names);
  });

  test.each([
    ['nothing', () => '', 'no PEM blocks'],
    ['a certificate', () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', 'no PEM blocks'],
    ['two', (csr: string) => csr + csr, '2 PEM blocks'],
    ['a damaged one', (csr: string) => csr.replace(/\n.{40}/, '\n'), 'damaged'],
    ['one that is too long', (csr: string) => `${csr}${' '.repeat(70_000)}`, '65536'],
  ])('%s is not read', async (_, change, reason) => {
    const { csr } = await makeRequest({ commonName: 'x', names: readNames(['a.example']) });
    await expect(readRequest(change(csr))).rejects.toMatchObject({ code: 'certificate_request_invalid', message: expect.stringContaining(reason) });
  });

  test('that somebody else signed is not read', async () => {
    const [ours, theirs] = await Promise.all([1, 2].map(() => makeRequest({ commonName: 'x', names: readNames(['a.example']) })));
    const { Pkcs10CertificateRequest } = await x509Library();
    const [a, b] = [ours, theirs].map(({ csr }) => Buffer.from(new Pkcs10CertificateRequest(csr).rawData));
    // The two differ in the key and the signature; ours with the bits of their public key is signed by a key that it is not for.
    const [from, to] = [ours, theirs].map(({ key }) => createPublicKey(key).export({ type: 'spki', format: 'der' }));
    const at = a.indexOf(from);
    const forged = Buffer.concat([a.subarray(0, at), to, a.subarray(at + from.length)]);
    expect(b.indexOf(to)).toBe(at);
    const pem = `-----BEGIN NEW CERTIFICATE REQUEST-----\n${forged.toString('base64')}\n-----END NEW CERTIFICATE REQUEST-----`;
    await expect(readRequest(pem)).rejects.toMatchObject({ code: 'certificate_request_invalid', message: expect.stringContaining('not signed') });
  });

  test('what is read is what was signed, whichever byte was changed', async () => {
    const { csr } = await makeRequest({ commonName: 'x', names: readNames(['a.example', '10.0.0.1']) });
    const { Pkcs10CertificateRequest } = await x509Library();
    const der = Buffer.from(new Pkcs10CertificateRequest(csr).rawData);
    const [request] = elements(der);
    const [signedPart] = elements(request.content);
    const endOfSignedPart = der.indexOf(signedPart.raw) + signedPart.raw.length;
    const whole = await readRequest(csr);
    await fc.assert(
      fc.asyncProperty(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Buffer.from(der);
        changed[at] ^= flip;
        const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${changed.toString('base64')}\n-----END CERTIFICATE REQUEST-----`;
        const outcome = await readRequest(pem).catch((error: unknown) => error);
        if (outcome instanceof SallyportError) return;
        // What follows the signed part is the name of the algorithm and the signature, which have bits that mean nothing.
        expect(at).toBeGreaterThanOrEqual(endOfSignedPart);
        expect(outcome).toMatchObject({ names: whole.names });
        expect((outcome as typeof whole).publicKey.equals(whole.publicKey)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
