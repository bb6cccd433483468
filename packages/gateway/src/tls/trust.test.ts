import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls, { connect, createServer, rootCertificates, type SecureContext, type Server } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, openAuthority } from './authority.js';
import { leafMinter } from './leaf.js';
import { pemCertificates } from './pem.js';
import { caBundle, upstreamTrust } from './trust.js';

let dir: string;
let authority: Authority;
let other: Authority;
const servers: Server[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sallyport-trust-'));
  authority = await openAuthority({ dir: join(dir, 'a'), create: true });
  other = await openAuthority({ dir: join(dir, 'b'), create: true });
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Writes `text` to a file and answers its path. */
async function file(name: string, text: string): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, text);
  return path;
}

/** Whether a client with this context accepts a server whose certificate `signer` signed: true, or the code of the refusal. */
async function accepts(
  secureContext: SecureContext,
  signer: Authority,
  options: { maxVersion?: 'TLSv1.1' | 'TLSv1.2' } = {},
): Promise<true | string> {
  const minter = leafMinter(signer);
  const server = createServer({ key: minter.keyPem, cert: minter.mint('localhost', Date.now()).pem, minVersion: 'TLSv1', ...options });
  server.on('secureConnection', (socket) => socket.on('error', () => socket.destroy()));
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, servername: 'localhost', secureContext });
  try {
    await once(socket, 'secureConnect');
    return true;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  } finally {
    socket.destroy();
  }
}

describe('upstreams', () => {
  test('are accepted when a configured authority signed them, and only then', async () => {
    const { secureContext } = await upstreamTrust({ ca: [authority.certificatePath], env: {} });
    expect(await accepts(secureContext, authority)).toBe(true);
    expect(await accepts(secureContext, other)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    expect(await accepts((await upstreamTrust({ ca: [], env: {} })).secureContext, authority)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  });

  test('are not spoken to below TLS 1.2', async () => {
    const usual = tls.DEFAULT_CIPHERS;
    // OpenSSL's usual security level rules out TLS 1.1 by itself; without it, only the context is left to refuse.
    tls.DEFAULT_CIPHERS = 'DEFAULT:@SECLEVEL=0';
    try {
      const { secureContext } = await upstreamTrust({ ca: [authority.certificatePath], env: {} });
      expect(await accepts(secureContext, authority, { maxVersion: 'TLSv1.1' })).toMatch(/PROTOCOL/);
      expect(await accepts(secureContext, authority, { maxVersion: 'TLSv1.2' })).toBe(true);
      const anything = tls.createSecureContext({ ca: authority.certificatePem, minVersion: 'TLSv1' });
      expect(await accepts(anything, authority, { maxVersion: 'TLSv1.1' })).toBe(true);
    } finally {
      tls.DEFAULT_CIPHERS = usual;
    }
  });

  test('of authorities named in the environment are accepted', async () => {
    const env = { SSL_CERT_FILE: authority.certificatePath, NODE_EXTRA_CA_CERTS: other.certificatePath };
    const { secureContext, sources } = await upstreamTrust({ ca: [], env });
    expect(await accepts(secureContext, authority)).toBe(true);
    expect(await accepts(secureContext, other)).toBe(true);
    expect(sources).toEqual([
      { kind: 'node', path: undefined, added: rootCertificates.length, problem: undefined },
      { kind: 'environment', path: authority.certificatePath, added: 1, problem: undefined },
      { kind: 'environment', path: other.certificatePath, added: 1, problem: undefined },
    ]);
  });
});

describe('sources', () => {
  const debianBundle = '/etc/ssl/certs/ca-certificates.crt';
  test.skipIf(!existsSync(debianBundle))('the bundle of the system counts unless the environment names another', async () => {
    expect((await upstreamTrust({ ca: [], env: {} })).sources).toMatchObject([
      { kind: 'node' },
      { kind: 'system', path: debianBundle, problem: undefined },
    ]);
    const { sources } = await upstreamTrust({ ca: [], env: { SSL_CERT_FILE: authority.certificatePath } });
    expect(sources.map(({ kind }) => kind)).toEqual(['node', 'environment']);
  });

  test('each root counts once, whatever its line ends and wherever it stands', async () => {
    const text = `a heading\r\n${authority.certificatePem.replaceAll('\n', '\r\n')}\ntrailer\n${other.certificatePem}${rootCertificates[0]}\n`;
    const path = await file('several.pem', text);
    const { sources, buildMs } = await upstreamTrust({ ca: [path, authority.certificatePath], env: { SSL_CERT_FILE: other.certificatePath } });
    expect(sources.map(({ kind, added }) => [kind, added])).toEqual([
      ['node', rootCertificates.length],
      ['environment', 1],
      ['configured', 1],
      ['configured', 0],
    ]);
    expect(buildMs).toBeGreaterThan(0);
  });

  test('files of the environment that cannot be used are passed over with a reason', async () => {
    const missing = join(dir, 'missing.pem');
    const empty = await file('empty.pem', 'nothing here\n');
    const { sources } = await upstreamTrust({ ca: [], env: { SSL_CERT_FILE: missing, NODE_EXTRA_CA_CERTS: empty } });
    expect(sources.slice(1)).toEqual([
      { kind: 'environment', path: missing, added: 0, problem: 'cannot be read (ENOENT)' },
      { kind: 'environment', path: empty, added: 0, problem: 'holds no PEM certificate' },
    ]);
  });

  test('a damaged certificate in the environment does not hide those after it', async () => {
    const damaged = authority.certificatePem.replace('MII', 'AAA');
    const path = await file('damaged-first.pem', damaged + other.certificatePem);
    const { secureContext, sources } = await upstreamTrust({ ca: [], env: { SSL_CERT_FILE: path } });
    expect(sources.at(-1)).toMatchObject({ added: 1, problem: 'holds a damaged certificate, number 1' });
    expect(await accepts(secureContext, other)).toBe(true);
  });

  test.each([
    ['is missing', undefined, 'cannot be read (ENOENT)'],
    ['holds no certificate', 'just text', 'holds no PEM certificate'],
    ['holds a damaged one', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'holds a damaged certificate, number 1'],
    ['was cut short', '-----BEGIN CERTIFICATE-----\nMIIB', 'holds no PEM certificate'],
  ])('a configured file that %s is an error that names it', async (name, text, problem) => {
    const path = text === undefined ? join(dir, 'nowhere.pem') : await file(`${name.replaceAll(' ', '-')}.pem`, text);
    const expected = { code: 'config_invalid', message: `The file ${path} under \`gateway.upstream.ca\` ${problem}.` };
    await expect(upstreamTrust({ ca: [authority.certificatePath, path], env: {} })).rejects.toMatchObject(expected);
    await expect(caBundle({ authority, ca: [path], env: {} })).rejects.toMatchObject(expected);
  });
});

test('the bundle for clients begins with the authority and holds every root once', async () => {
  const bundle = pemCertificates(await caBundle({ authority, ca: [other.certificatePath], env: { SSL_CERT_FILE: authority.certificatePath } }));
  expect(`${bundle[0]}\n`).toBe(authority.certificatePem);
  const bodies = bundle.map((block) => block.replace(/\s/g, ''));
  expect(bodies).toContain(other.certificatePem.replace(/\s/g, ''));
  expect(bodies).toContain(rootCertificates[0].replace(/\s/g, ''));
  expect(new Set(bodies).size).toBe(bodies.length);
});
