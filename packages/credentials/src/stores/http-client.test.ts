import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect, promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkedUrl, httpClient, isLoopback } from './http-client.js';
import { fakeServer } from './http-server.test.support.js';

const execFileAsync = promisify(execFile);
const { signal } = new AbortController();

describe('httpClient', () => {
  let dir = '';
  let cert = '';
  let url = '';
  let close = async (): Promise<void> => {};

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sallyport-http-'));
    cert = join(dir, 'cert.pem');
    const key = join(dir, 'key.pem');
    const subject = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
    await execFileAsync('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject,
    ]);
    const server = createServer({ cert: await readFile(cert), key: await readFile(key) }, (_, answer) => answer.end('over TLS'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    close = async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    };
  });
  afterAll(async () => {
    await close();
    await rm(dir, { recursive: true, force: true });
  });

  test('trusts the authority that is named', async () => {
    const answer = await httpClient({ name: 'it', caFile: cert })({ method: 'GET', url }, signal);
    expect([answer.status, answer.text]).toEqual([200, 'over TLS']);
  });

  test('trusts no other, and says so once and for all', async () => {
    const failed = httpClient({ name: 'it' })({ method: 'GET', url }, signal);
    await expect(failed).rejects.toMatchObject({
      code: 'token_store_failed',
      message: expect.stringMatching(/^The TLS connection to it failed \([A-Z_]*SIGNED[A-Z_]*\)\.$/),
      members: { retryable: false },
    });
  });

  test('a header that cannot be sent is not quoted', async () => {
    const headers = { authorization: 'Bearer hush\nhush' };
    const error: unknown = await httpClient({ name: 'it' })({ method: 'GET', url, headers }, signal).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'token_store_failed', members: { retryable: false } });
    expect(inspect(error, { depth: 10 })).not.toContain('hush');
  });

  test('what nobody listens on, and what ends in the middle, may be tried again', async () => {
    const server = await fakeServer(() => ({ status: 200, headers: { 'content-length': '3' }, body: 'abc' }));
    server.intercept = () => 'reset';
    await expect(httpClient({ name: 'it' })({ method: 'GET', url: server.url }, signal)).rejects.toMatchObject({ members: { retryable: true } });
    await server.close();
    await expect(httpClient({ name: 'it' })({ method: 'GET', url: server.url }, signal)).rejects.toMatchObject({
      message: 'The connection to it failed (ECONNREFUSED).',
      members: { retryable: true },
    });
  });
});

describe('checkedUrl', () => {
  test.each([
    ['https://vault.example:8200', 'https://vault.example:8200'],
    ['HTTPS://Vault.Example/a/b//', 'https://vault.example/a/b'],
    ['http://127.0.0.1:8200/', 'http://127.0.0.1:8200'],
    ['http://[::1]:8200', 'http://[::1]:8200'],
    ['http://localhost', 'http://localhost'],
  ])('%s is %s', (text, url) => expect(checkedUrl('address', text)).toBe(url));

  test.each([
    '',
    'vault',
    '//vault',
    'http://vault.example',
    'http://127.0.0.1.example',
    'http://localhost.example',
    'ftp://127.0.0.1',
    'https://u@v',
    'https://v?a',
    'https://v#a',
  ])('%j is refused', (text) => expect(() => checkedUrl('address', text)).toThrow(expect.objectContaining({ code: 'config_invalid' })));

  test('loopback is an address of this machine and nothing that looks like one', () => {
    expect(['127.0.0.1', '127.255.1.2', '[::1]', 'localhost'].map(isLoopback)).toEqual([true, true, true, true]);
    expect(['127.0.0.1.nip.io', '128.0.0.1', '[::2]', '0.0.0.0'].map(isLoopback)).toEqual([false, false, false, false]);
  });
});
