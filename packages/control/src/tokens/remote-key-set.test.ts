import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type RemoteKeySetOptions, remoteKeySet } from './remote-key-set.js';
import { newSigner } from './tokens.test.support.js';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const first = { ...newSigner('P-256').publicJwk, kid: 'one', use: 'sig' };
const second = { ...newSigner('ed25519').publicJwk, kid: 'two' };

let server: Server;
let ca: string;
let answer: (response: ServerResponse) => void;
let asked: number;
let time: number;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      ...{ serialNumber: '01', name: 'CN=localhost', signingAlgorithm: algorithm, keys },
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      extensions: [
        new BasicConstraintsExtension(true),
        new SubjectAlternativeNameExtension([
          { type: 'dns', value: 'localhost' },
          { type: 'ip', value: '127.0.0.1' },
        ]),
      ],
    },
    webcrypto,
  );
  ca = certificate.toString('pem');
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  server = createServer({ cert: ca, key: `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n` }, (_, response) => {
    asked += 1;
    answer(response);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
});
beforeEach(() => {
  asked = 0;
  time = 1_000_000;
  answer = (response) => response.end(JSON.stringify({ keys: [first] }));
});
afterEach(() => void vi.useRealTimers());
afterAll(async () => {
  await Promise.all(open.map((set) => set.close()));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function keySet(more: Partial<RemoteKeySetOptions> = {}, host = 'localhost') {
  const url = `https://${host}:${(server.address() as AddressInfo).port}/keys`;
  const set = remoteKeySet({ url, ca, mayDial: (address) => address === '127.0.0.1' || address === '::1', clock: () => time, ...more });
  open.push(set);
  return async (kid: string | undefined) => (await set.findKeys({ kid, algorithm: 'ES256' })).map((key) => key.kid);
}

const unavailable = expect.objectContaining({ code: 'token_keys_unavailable', status: 503 });

test('keys are fetched once, by however many ask, and again when they are old', async () => {
  const find = keySet({ maxAge: 1000, cooldown: 10 });
  expect(await Promise.all([find('one'), find('one'), find(undefined)])).toEqual([['one'], ['one'], ['one']]);
  expect(asked).toBe(1);
  answer = (response) => response.end(JSON.stringify({ keys: [first, second] }));
  time += 1000;
  expect(await find('two')).toEqual(['two']);
  expect(await find(undefined)).toEqual([]);
  expect(asked).toBe(2);
});

test('an unknown key id fetches anew, but not more often than the cooldown allows', async () => {
  const find = keySet({ cooldown: 1000 });
  await find('one');
  for (let index = 0; index < 20; index += 1) expect(await find(`unknown ${index}`)).toEqual([]);
  expect(asked).toBe(1);
  answer = (response) => response.end(JSON.stringify({ keys: [second] }));
  time += 1000;
  expect(await find('two')).toEqual(['two']);
  expect(await find('one')).toEqual([]);
});

test('a clock that was wrong for a moment, and is put right, keeps no key alive', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const url = `https://localhost:${(server.address() as AddressInfo).port}/keys`;
  const set = remoteKeySet({ url, ca, mayDial: () => true, maxAge: 0, cooldown: 0 });
  open.push(set);
  const find = async (kid: string) => (await set.findKeys({ kid, algorithm: 'ES256' })).length;
  const right = Date.now();
  vi.setSystemTime(right + 365 * 86_400_000);
  expect(await find('one')).toBe(1);
  vi.setSystemTime(right);
  answer = (response) => response.end(JSON.stringify({ keys: [second] }));
  expect(await find('two')).toBe(1);
  expect(await find('one')).toBe(0);
});

test('while fetching fails, the keys that are known serve for a bounded time', async () => {
  const find = keySet({ maxAge: 1000, cooldown: 10, maxStale: 5000 });
  await find('one');
  answer = (response) => response.writeHead(500).end();
  time += 5999;
  expect(await find('one')).toEqual(['one']);
  time += 11;
  await expect(find('one')).rejects.toThrow(unavailable);
});

test.each<[string, (response: ServerResponse) => void]>([
  ['too large', (response) => response.end(JSON.stringify({ keys: [first], padding: 'x'.repeat(300_000) }))],
  ['a redirect', (response) => response.writeHead(302, { location: '/other' }).end(JSON.stringify({ keys: [first] }))],
  ['not JSON', (response) => response.end('<html>')],
  ['no key set', (response) => response.end('[]')],
  ['ambiguous', (response) => response.end(JSON.stringify({ keys: [first, { ...second, kid: 'one' }] }))],
  ['of too many keys', (response) => response.end(JSON.stringify({ keys: Array.from({ length: 65 }, () => first) }))],
])('an answer that is %s gives no keys', async (_, reply) => {
  answer = reply;
  await expect(keySet()('one')).rejects.toThrow(unavailable);
  expect(asked).toBe(1);
});

test('keys that cannot be used, and shared secrets, are left out', async () => {
  const secret = { kty: 'oct', kid: 'secret', alg: 'HS256', k: Buffer.alloc(32, 1).toString('base64url') };
  answer = (response) => response.end(JSON.stringify({ keys: [secret, { ...second, use: 'enc' }, { kty: 'new', kid: 'x' }, first] }));
  const find = keySet();
  expect(await find('secret')).toEqual([]);
  expect(await find('one')).toEqual(['one']);
});

test('an address that may not be dialed is not dialed, named or not', async () => {
  for (const host of ['localhost', '127.0.0.1', '[::ffff:127.0.0.1]', '169.254.169.254']) {
    await expect(keySet({ mayDial: () => false }, host)('one')).rejects.toThrow(unavailable);
  }
  const byDefault = remoteKeySet({ url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`, ca });
  open.push(byDefault);
  await expect(byDefault.findKeys({ kid: 'one', algorithm: 'ES256' })).rejects.toThrow(unavailable);
  expect(asked).toBe(0);
});

test('a server that cannot prove who it is is not believed', async () => {
  const url = `https://localhost:${(server.address() as AddressInfo).port}/keys`;
  const set = remoteKeySet({ url, mayDial: () => true });
  open.push(set);
  await expect(set.findKeys({ kid: 'one', algorithm: 'ES256' })).rejects.toThrow(unavailable);
});

test.each(['http://localhost/keys', 'https://user:secret@localhost/keys', 'file:///keys', 'keys'])('%s is no address of keys', (url) => {
  expect(() => remoteKeySet({ url })).toThrow(expect.objectContaining({ code: 'actor_key_invalid' }));
});
