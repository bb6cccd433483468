import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createPlainServer } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Secret } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ask, endLater, endScene, handshake, openTls, renewed, serve, shown, temporaryFolder } from '../tls-scene.test.support.js';
import type { AcmeConfig } from './acme-certificates.js';
import { eabKey, hasPebble, type Pebble, startPebble } from './pebble.test.support.js';

const DAY = 24 * 3_600_000;
const A = 'a.example.com';
const B = 'b.example.com';
/** However far the client got. */
const noHandshake = /disconnected|ECONNRESET|closed/;
let dir: string;

beforeEach(async () => {
  dir = join(await temporaryFolder(), 'acme');
});
afterEach(async () => {
  vi.useRealTimers();
  await endScene();
});

function configFor(pebble: Pebble, changes: Partial<AcmeConfig> = {}): { readonly acme: AcmeConfig } {
  const { directoryUrl, ca, httpPort } = pebble;
  const base = { directory_url: directoryUrl, ca, email: 'ops@example.com', accept_tos: true, hosts: [A], dir, http_host: '127.0.0.1' } as const;
  return { acme: { ...base, http_port: httpPort, ...changes } };
}

/** Where the certificates of the one authority are. */
async function folder(): Promise<string> {
  const [name = ''] = await readdir(dir);
  return join(dir, name);
}

const said = (troubles: readonly { code: string }[]): string[] => troubles.map(({ code }) => code);

async function otherPort(): Promise<number> {
  const server = createPlainServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

describe.skipIf(!hasPebble)('certificates from an ACME server', { timeout: 60_000 }, () => {
  test('are ordered in the background, served at once, and kept across restarts', async () => {
    const pebble = await startPebble();
    const { tls, troubles } = await openTls(configFor(pebble, { hosts: [A, B] }));
    const port = await serve(tls);
    // There is none yet, and none is made up.
    expect(tls.context().cert).toBeUndefined();
    await expect(shown(port, { servername: A })).rejects.toThrow(noHandshake);
    await renewed(tls);
    await vi.waitFor(() => expect(pebble.called('/order-plz')).toBe(2), 20_000);
    const ca = await pebble.root();
    expect(await ask(await handshake(port, { servername: A, ca }))).toBe('hello');
    await vi.waitFor(async () => expect((await shown(port, { servername: B })).subjectaltname).toBe(`DNS:${B}`), 20_000);
    const first = await shown(port, { servername: A });
    expect((await shown(port)).fingerprint256).toBe(first.fingerprint256);
    expect(first.subjectaltname).toBe(`DNS:${A}`);
    expect(first.asn1Curve).toBe('prime256v1');
    expect(troubles).toEqual([]);
    await tls.close();

    const place = await folder();
    expect((await readdir(place)).sort()).toEqual(['a.example.com.pem', 'account.json', 'b.example.com.pem', 'challenges']);
    for (const name of ['account.json', `${A}.pem`]) expect((await stat(join(place, name))).mode & 0o777).toBe(0o600);
    const { tls: again } = await openTls(configFor(pebble, { hosts: [A, B] }));
    const samePort = await serve(again);
    expect((await shown(samePort, { servername: A })).fingerprint256).toBe(first.fingerprint256);
    await again.close();
    expect([pebble.called('/order-plz'), pebble.called('/sign-me-up')]).toEqual([2, 1]);
  });

  test('are shown for hosts that are listed only', async () => {
    const pebble = await startPebble();
    const { tls } = await openTls(configFor(pebble));
    const port = await serve(tls);
    await renewed(tls);
    expect((await shown(port, { servername: 'A.Example.COM' })).subjectaltname).toBe(`DNS:${A}`);
    for (const servername of [B, 'example.com', `x.${A}`]) await expect(shown(port, { servername })).rejects.toThrow(noHandshake);
    expect(pebble.called('/order-plz')).toBe(1);
  });

  test('are renewed before they end; the old one is served until then', async () => {
    const pebble = await startPebble();
    const { tls: first } = await openTls(configFor(pebble));
    const before = await shownAfter(first);
    await first.close();
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(Date.now() + 59 * DAY);
    const { tls: early } = await openTls(configFor(pebble));
    expect((await shown(await serve(early), { servername: A })).fingerprint256).toBe(before);
    await early.close();
    expect(pebble.called('/order-plz')).toBe(1);
    vi.setSystemTime(Date.now() + 5 * DAY);
    const { tls, troubles } = await openTls(configFor(pebble));
    const port = await serve(tls);
    const open = await handshake(port, { servername: A });
    expect(open.getPeerCertificate().fingerprint256).toBe(before);
    await renewed(tls);
    expect((await shown(port, { servername: A })).fingerprint256).not.toBe(before);
    expect(await ask(open)).toBe('hello');
    expect([pebble.called('/order-plz'), pebble.called('/sign-me-up')]).toEqual([2, 1]);
    expect(troubles).toEqual([]);
  });

  test('are renewed as early as is configured, which never is all the time', async () => {
    const pebble = await startPebble();
    const { tls } = await openTls(configFor(pebble, { renew_before: 400 * DAY }));
    await shownAfter(tls);
    await tls.close();
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(Date.now() + 20 * DAY);
    const { tls: early } = await openTls(configFor(pebble, { renew_before: 400 * DAY }));
    await early.close();
    expect(pebble.called('/order-plz')).toBe(1);
    vi.setSystemTime(Date.now() + 25 * DAY);
    const { tls: late } = await openTls(configFor(pebble, { renew_before: 400 * DAY }));
    await renewed(late);
    expect(pebble.called('/order-plz')).toBe(2);
  });

  test('that an authority refuses are not asked for again at each restart', async () => {
    const pebble = await startPebble();
    const wrong = configFor(pebble, { http_port: await otherPort() });
    const { tls, troubles } = await openTls(wrong);
    await vi.waitFor(() => expect(troubles.length).toBe(1), 30_000);
    expect(troubles[0]).toMatchObject({ code: 'acme_challenge_failed', message: expect.stringContaining(A) as string });
    await tls.close();
    for (let restart = 0; restart < 3; restart += 1) {
      const { tls: again, troubles: told } = await openTls(wrong);
      await vi.waitFor(() => expect(said(told)).toEqual(['acme_waiting']), 10_000);
      expect(told[0]?.message).toContain('connection');
      await again.close();
    }
    expect(pebble.called('/order-plz')).toBe(1);

    // What the hint says.
    await rm(join(await folder(), `${A}.attempt.json`));
    const { tls: right } = await openTls(configFor(pebble));
    await renewed(right);
    await right.close();
    expect((await readdir(await folder())).some((name) => name.includes('attempt'))).toBe(false);
  });

  test('that are refused for one host are there for the others', async () => {
    const pebble = await startPebble();
    const { tls, troubles } = await openTls(configFor(pebble, { hosts: ['blocked.example.com', A] }));
    const port = await serve(tls);
    await renewed(tls);
    expect((await shown(port, { servername: A })).subjectaltname).toBe(`DNS:${A}`);
    expect(troubles).toMatchObject([{ code: 'acme_order_refused', members: { acme_error: 'rejectedIdentifier' } }]);
    await expect(shown(port, { servername: 'blocked.example.com' })).rejects.toThrow(noHandshake);
  });

  test('come to accounts that are bound', async () => {
    const pebble = await startPebble({ eab: true });
    const bound = (hmac: string): { readonly acme: AcmeConfig } => configFor(pebble, { eab: { kid: eabKey.kid, hmac_key: new Secret(hmac) } });
    const { tls, troubles } = await openTls(bound('d3Jvbmc'));
    await vi.waitFor(() => expect(said(troubles)).toEqual(['acme_account_refused']), 20_000);
    expect(inspect(troubles, { depth: 10 })).not.toContain('d3Jvbmc');
    await tls.close();
    await rm(dir, { recursive: true });
    const { tls: right } = await openTls(bound(eabKey.hmac));
    await renewed(right);
    expect(await readFile(join(await folder(), 'account.json'), 'utf8')).not.toContain(eabKey.hmac);
  });

  test('are ordered once by several processes on one folder, and served by all', async () => {
    const pebble = await startPebble();
    const all = await Promise.all(Array.from({ length: 3 }, () => openTls(configFor(pebble))));
    const prints = await Promise.all(all.map(({ tls }) => shownAfter(tls)));
    expect(new Set(prints).size).toBe(1);
    expect(all.flatMap(({ troubles }) => troubles)).toEqual([]);
    expect([pebble.called('/order-plz'), pebble.called('/sign-me-up')]).toEqual([1, 1]);
  });

  test('come although the server refuses nonces', async () => {
    const pebble = await startPebble({ badNonces: 15 });
    const { tls } = await openTls(configFor(pebble));
    await renewed(tls);
  });

  test('that never come are told, when the server refuses all nonces', async () => {
    const pebble = await startPebble({ badNonces: 100 });
    const { troubles } = await openTls(configFor(pebble));
    await vi.waitFor(() => expect(said(troubles)).toEqual(['acme_unreachable']), 20_000);
    expect(troubles[0]?.message).toContain('JWS has an invalid anti-replay nonce');
  });

  test('come although the server has lost the account', async () => {
    const pebble = await startPebble();
    const { tls } = await openTls(configFor(pebble));
    await renewed(tls);
    await tls.close();
    const path = join(await folder(), 'account.json');
    const account = JSON.parse(await readFile(path, 'utf8')) as { url: string };
    await writeFile(path, JSON.stringify({ ...account, url: `${account.url.slice(0, -4)}none` }));
    const { tls: again, troubles } = await openTls(configFor(pebble, { hosts: [B] }));
    await renewed(again);
    expect(troubles).toEqual([]);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(account);
  });

  test('are answered for on a listener of the server’s own', async () => {
    const pebble = await startPebble();
    let handler: ((...call: Parameters<NonNullable<Awaited<ReturnType<typeof openTls>>['tls']['challengeHandler']>>) => boolean) | null = null;
    const server = createServer((request, response) => {
      if (handler?.(request, response) !== true) response.end('something else');
    });
    server.listen(pebble.httpPort, '127.0.0.1');
    await once(server, 'listening');
    endLater(() => new Promise((done) => server.close(done)));
    const { tls } = await openTls(configFor(pebble, { http_port: null }));
    handler = tls.challengeHandler;
    await renewed(tls);
    const other = await fetch(`http://127.0.0.1:${pebble.httpPort}/`);
    expect(await other.text()).toBe('something else');
  });

  test('that are damaged on disk are not served, and ordered anew', async () => {
    const pebble = await startPebble();
    const { tls } = await openTls(configFor(pebble));
    await renewed(tls);
    await tls.close();
    await writeFile(join(await folder(), `${A}.pem`), 'damaged');
    const { tls: again, troubles } = await openTls(configFor(pebble));
    expect(again.context().cert).toBeUndefined();
    expect(said(troubles)).toEqual(['tls_files_invalid']);
    await renewed(again);
  });

  test('are not ordered while the port for the checks is taken', async () => {
    const pebble = await startPebble();
    const server = createPlainServer().listen(pebble.httpPort, '127.0.0.1');
    await once(server, 'listening');
    endLater(() => new Promise((done) => server.close(done)));
    const { troubles } = await openTls(configFor(pebble));
    await vi.waitFor(() => expect(said(troubles)).toEqual(['acme_port_unavailable']), 10_000);
    expect(pebble.called('/order-plz')).toBe(0);
  });

  test('are not ordered from a server that cannot be verified or reached', async () => {
    const pebble = await startPebble();
    const { tls, troubles } = await openTls(configFor(pebble, { ca: undefined }));
    await vi.waitFor(() => expect(said(troubles)).toEqual(['acme_unreachable']), 10_000);
    expect(troubles[0]?.message).toContain('DEPTH_ZERO_SELF_SIGNED_CERT');
    await tls.close();
    await pebble.stop();
    await rm(dir, { recursive: true });
    const { troubles: dead } = await openTls(configFor(pebble));
    await vi.waitFor(() => expect(said(dead)).toEqual(['acme_unreachable']), 10_000);
    expect(dead[0]?.message).toContain('ECONNREFUSED');
  });

  test('can be given up in the middle of an order', async () => {
    const pebble = await startPebble();
    const { tls, troubles } = await openTls(configFor(pebble));
    await vi.waitFor(() => expect(pebble.called('/sign-me-up')).toBe(1), 10_000);
    await tls.close();
    expect(troubles).toEqual([]);
    expect((await readdir(await folder())).filter((name) => name.startsWith('lock-'))).toEqual([]);
    // The attempt is remembered: nobody knows what the authority made of it.
    const { tls: again, troubles: told } = await openTls(configFor(pebble));
    await vi.waitFor(() => expect(said(told)).toEqual(['acme_waiting']), 10_000);
    await again.close();
  });
});

describe('a configuration of ACME', () => {
  const base: AcmeConfig = { email: 'ops@example.com', accept_tos: true, hosts: [A], dir: '/dev/null/none' };

  test.each<[string, Partial<Record<keyof AcmeConfig, unknown>>, string]>([
    ['without the terms', { accept_tos: false }, 'terms of service'],
    ['without hosts', { hosts: [] }, '`hosts` is empty'],
    ['with a wildcard', { hosts: ['*.example.com'] }, 'wildcards'],
    ['with an address', { hosts: ['192.0.2.1'] }, 'authorities certify names'],
    ['with a name that leads elsewhere in the folder', { hosts: ['../x.example.com'] }, 'no host name'],
    ['with a name of this machine', { hosts: ['localhost'] }, 'one label only'],
    ['with a mail address that is none', { email: 'ops' }, 'mail address'],
    ['with a server without TLS', { directory_url: 'http://acme.example.com/' }, 'no https address'],
    ['with a password in the address', { directory_url: 'https://u:p@acme.example.com/' }, 'holds a password'],
    ['that renews never', { renew_before: 0 }, 'renew_before'],
  ])('%s is refused', async (_what, changes, message) => {
    const config = { acme: { ...base, ...changes } as AcmeConfig };
    await expect(openTls(config)).rejects.toMatchObject({ code: 'server_tls_invalid', message: expect.stringContaining(message) as string });
  });

  test('with a folder that cannot be used is refused', async () => {
    await expect(openTls({ acme: base })).rejects.toMatchObject({ code: 'certificate_files_failed' });
  });
});

/** The fingerprint of the certificate for the first host once there is one. */
async function shownAfter(tls: Awaited<ReturnType<typeof openTls>>['tls']): Promise<string> {
  const port = await serve(tls);
  if (tls.context().cert === undefined) await renewed(tls);
  return (await shown(port, { servername: A })).fingerprint256;
}
