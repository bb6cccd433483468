import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leafMinter, openAuthority } from '@sallyport/gateway';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { chaperoneAnswers, startOperationsServer } from './operations-server.test.support.js';
import { createProber, type Probe } from './probe.js';
import { probeFailure } from './probe-failure.js';

const never = new AbortController().signal;

async function look(port: number, { timeout = 20_000, https = false, ca = null as string | null, tokenEnv = '' } = {}): Promise<Probe> {
  const url = `${https ? 'https' : 'http'}://127.0.0.1:${port}`;
  const prober = createProber({ url, ca, token: tokenEnv === '' ? null : { env: tokenEnv } }, timeout);
  onTestFinished(() => prober.close());
  return prober.look(never);
}

describe('an instance that answers', () => {
  test('as Chaperone does', async () => {
    const { port } = await startOperationsServer({ ...chaperoneAnswers });
    expect(await look(port)).toMatchObject({ ok: true, ready: null, version: '1.4.2', note: null, reading: { requests: 10, active: 2 } });
  });

  test('but is not ready', async () => {
    const { port } = await startOperationsServer({ ...chaperoneAnswers, '/_ops/ready': [503, '{"detail":"It is \\u001b[2Jdraining."}'] });
    expect(await look(port)).toMatchObject({ ok: true, ready: false, note: 'It is [2Jdraining.' });
  });

  test.each([
    ['without metrics', [404, ''], 'it answers 404 to /metrics'],
    ['with metrics of something else', [200, 'up 1\n'], 'neither those of Sallyport nor of Chaperone'],
    ['with broken metrics', [200, 'up 1\nup up\n'], 'Line 2'],
  ] as const)('%s', async (_, metrics, note) => {
    const { port } = await startOperationsServer({ ...chaperoneAnswers, '/metrics': metrics });
    expect(await look(port)).toMatchObject({ ok: true, reading: null, note: expect.stringContaining(note) });
  });

  test('to those with the token only', async () => {
    vi.stubEnv('FLEET_TOKEN', 'the-token');
    onTestFinished(() => void vi.unstubAllEnvs());
    const server = await startOperationsServer({ ...chaperoneAnswers });
    expect(await look(server.port, { tokenEnv: 'FLEET_TOKEN' })).toMatchObject({ ok: true });
    expect(server.authorizations).toEqual(Array.from({ length: 4 }, () => 'Bearer the-token'));
    expect(await look(server.port, { tokenEnv: 'NOT_THERE' })).toEqual({ ok: false, error: 'its token is not in the variable NOT_THERE' });
  });

  test('over https, with an authority of its own', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-fleet-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const authority = await openAuthority({ dir: directory, create: true });
    const minter = leafMinter(authority);
    const { port } = await startOperationsServer({ ...chaperoneAnswers }, { key: minter.keyPem, cert: minter.mint('127.0.0.1', Date.now()).pem });
    expect(await look(port, { https: true, ca: authority.certificatePath })).toMatchObject({ ok: true });
    expect(await look(port, { https: true })).toMatchObject({ ok: false, error: expect.stringContaining('--ca') });
    expect(await look(port)).toMatchObject({ ok: false, error: expect.stringContaining('may speak https') });
    expect(await look(port, { https: true, ca: join(directory, 'none') })).toMatchObject({
      ok: false,
      error: expect.stringContaining('cannot be read'),
    });
  });
});

describe('an instance that does not', () => {
  test.each([
    ['another program', [200, '<html>'], 'neither Sallyport nor Chaperone'],
    ['a number', [200, '7'], 'neither Sallyport nor Chaperone'],
    ['another port', [404, ''], 'is this the ops listener?'],
    ['a redirect, which is not followed', [302, '', { location: 'http://127.0.0.1:1/' }], 'answers 302'],
    ['who asks', [401, ''], '--token-env'],
    ['bound to loopback behind a tunnel', [421, ''], 'only to programs on its own machine'],
    ['too much', [200, `{"status":"alive","x":"${'y'.repeat(70_000)}"}`], 'larger than 64 KiB'],
  ] as const)('%s', async (_, health, error) => {
    const { port } = await startOperationsServer({ ...chaperoneAnswers, '/_ops/health': health });
    expect(await look(port)).toMatchObject({ ok: false, error: expect.stringContaining(error) });
  });

  test('because nothing listens there', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => {
      server.close(resolve);
    });
    expect(await look(port)).toMatchObject({ ok: false, error: expect.stringMatching(/refused.*bound to localhost/) });
  });

  test('in time', async () => {
    const { port } = await startOperationsServer(() => {});
    expect(await look(port, { timeout: 100 })).toMatchObject({ ok: false, error: expect.stringMatching(/within 0.1 s.*bound to localhost/) });
  });

  test('to the end: it falls silent in the middle', async () => {
    const { port } = await startOperationsServer((_, response) => void response.writeHead(200, { 'content-length': '50' }).write('{"status"'));
    expect(await look(port, { timeout: 100 })).toMatchObject({ ok: false, error: expect.stringContaining('no answer within') });
  });

  test('to more metrics than 4 MiB', async () => {
    const { port } = await startOperationsServer({ ...chaperoneAnswers, '/metrics': [200, '#'.repeat(4 * 1024 * 1024 + 1)] });
    expect(await look(port)).toMatchObject({ ok: false, error: expect.stringContaining('larger than 4096 KiB') });
  });
});

test.each([
  ['ENOTFOUND', 'the name gw.example does not resolve'],
  ['EHOSTUNREACH', 'no route'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'for another name'],
  ['CERT_HAS_EXPIRED', 'expired'],
  ['SOMETHING_ELSE', '(SOMETHING_ELSE)'],
])('%s is said in words', (code, said) => {
  expect(probeFailure({ url: 'https://gw.example:9090' }, Object.assign(new Error(), { code }), 1000)).toContain(said);
  expect(probeFailure({ url: 'https://gw.example:9090' }, new AggregateError([Object.assign(new Error(), { code })]), 1000)).toContain(said);
});
