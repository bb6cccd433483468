import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectThrough, rawClient, secure } from '../testing/raw-client.test.support.js';
import { type RunningGateway, runningGateway } from '../testing/running-gateway.test.support.js';
import { problem, stopEverything, upstreamAuthority } from '../testing/scene.test.support.js';
import { echo, startUpstream } from '../testing/scripted-upstream.test.support.js';
import { type TestAuthority, testAuthority } from '../testing/test-authority.test.support.js';

const DAY = 86_400_000;
let trusted: TestAuthority;
let other: TestAuthority;
beforeEach(async () => {
  trusted = await upstreamAuthority();
  other = await testAuthority();
});
afterEach(async () => {
  await stopEverything();
  await other.remove();
});

const keyed = `
credentials:
  key: { source: { type: static, value: the-secret-value }, bind: [{ hosts: ["api.test:*"], place: { header: X-Key } }] }`;

async function gatewayTrusting(sections = keyed): Promise<RunningGateway> {
  return runningGateway(sections, { CA: trusted.path });
}

describe('the certificate of an upstream', () => {
  test.each([
    ['has expired', () => trusted.serverFor('api.test', Date.now() - 60_000, 1_000), 'upstream_tls_expired'],
    ['is not valid yet', () => trusted.serverFor('api.test', Date.now() + 30 * DAY), 'upstream_tls_expired'],
    ['is for another name', () => trusted.serverFor('other.test'), 'upstream_tls_name_mismatch'],
    ['is for the address only', () => trusted.serverFor('127.0.0.1'), 'upstream_tls_name_mismatch'],
    ['is signed by nobody that is known', () => other.serverFor('api.test'), 'upstream_tls_untrusted'],
    [
      'is signed by itself',
      () => ({ key: other.authority.key.export({ type: 'pkcs8', format: 'pem' }), cert: other.authority.certificatePem }),
      'upstream_tls_untrusted',
    ],
  ])('%s: the request, and the secret with it, is not sent', async (_, tls, code) => {
    const upstream = await startUpstream(echo, tls());
    const gateway = await gatewayTrusting();
    const authority = `api.test:${upstream.port}`;
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET https://${authority}/ HTTP/1.1`, [`Host: ${authority}`]);
    expect(response.status).toBe(502);
    expect(problem(response)).toMatchObject({ code, hint: expect.any(String), detail: expect.stringContaining(authority) });
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: code, status: 502 });
    // The same inside a tunnel, where others just close it.
    const inner = await secure(await connectThrough(gateway.forward, authority), { ca: gateway.caPem, servername: 'api.test' });
    expect(problem(await inner.request('GET / HTTP/1.1', [`Host: ${authority}`])).code).toBe(code);
    expect(upstream.requests).toHaveLength(0);
  });

  test('is verified whatever the environment says', async () => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      const upstream = await startUpstream(echo, other.serverFor('api.test'));
      const gateway = await gatewayTrusting();
      const client = await rawClient(gateway.forward);
      const authority = `api.test:${upstream.port}`;
      expect(problem(await client.request(`GET https://${authority}/ HTTP/1.1`, [`Host: ${authority}`])).code).toBe('upstream_tls_untrusted');
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
  });

  test('is not verified by what an earlier configuration trusted', async () => {
    const upstream = await startUpstream(echo, trusted.serverFor('api.test'));
    const gateway = await gatewayTrusting();
    const authority = `api.test:${upstream.port}`;
    const client = await rawClient(gateway.forward);
    const get = () => client.request(`GET https://${authority}/ HTTP/1.1`, [`Host: ${authority}`]);
    expect((await get()).status).toBe(200);
    await gateway.reload(`${keyed}\nupstream: { ca: [${JSON.stringify(other.path)}], hosts: { api.test: 127.0.0.1 } }`);
    expect(problem(await get()).code).toBe('upstream_tls_untrusted');
  });
});

describe('TLS with an upstream', () => {
  test.each([
    [
      'speaks only TLS 1.1',
      () => ({ ...trusted.serverFor('api.test'), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }) as const,
      '',
    ],
    [
      'speaks only TLS 1.2 where 1.3 is asked for',
      () => ({ ...trusted.serverFor('api.test'), maxVersion: 'TLSv1.2' }) as const,
      'min_tls: TLSv1.3, ',
    ],
    ['agrees to no protocol that we speak', () => ({ ...trusted.serverFor('api.test'), ALPNProtocols: ['h2'] }), ''],
  ])('fails in clear words when it %s', async (_, tls, setting) => {
    const upstream = await startUpstream(echo, tls());
    const gateway = await gatewayTrusting(`upstream: { ${setting}ca: [${JSON.stringify(trusted.path)}], hosts: { api.test: 127.0.0.1 } }`);
    const authority = `api.test:${upstream.port}`;
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET https://${authority}/ HTTP/1.1`, [`Host: ${authority}`]);
    expect(problem(response)).toMatchObject({ code: 'upstream_tls_failed', status: 502 });
  });

  test('fails in clear words when it is plain HTTP, or closes at once', async () => {
    const gateway = await gatewayTrusting('');
    const client = await rawClient(gateway.forward);
    const plain = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const closing = createServer((socket) => socket.on('error', () => {}).destroy());
    for (const server of [plain, closing]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const authority = `api.test:${(server.address() as AddressInfo).port}`;
      expect(problem(await client.request(`GET https://${authority}/ HTTP/1.1`, [`Host: ${authority}`])).code).toBe('upstream_tls_failed');
      server.close();
    }
  });
});

describe('an upstream that cannot be reached', () => {
  /** A port on which nobody listens. */
  async function closedPort(): Promise<number> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
  }

  test('because nobody listens', async () => {
    const gateway = await gatewayTrusting();
    const authority = `other.test:${await closedPort()}`;
    const client = await rawClient(gateway.forward);
    for (const scheme of ['http', 'https']) {
      const response = await client.request(`GET ${scheme}://${authority}/ HTTP/1.1`, [`Host: ${authority}`]);
      expect(problem(response)).toMatchObject({ status: 502, code: 'upstream_refused' });
      // Which address a name has inside is nobody's business.
      expect(response.body.toString()).not.toContain('127.0.0.1');
    }
    expect(await gateway.recorded(2)).toMatchObject({ outcome: 'failed', error: 'upstream_refused', status: 502 });
    expect(await gateway.metrics()).toContain('sallyport_upstream_connections{state="active"} 0');
  });

  test('because its name does not resolve', async () => {
    const gateway = await gatewayTrusting('policy: { mode: permissive }');
    const client = await rawClient(gateway.forward);
    const response = await client.request('GET https://nowhere.invalid/ HTTP/1.1', ['Host: nowhere.invalid']);
    expect(problem(response)).toMatchObject({ status: 502, code: 'upstream_dns_failed', detail: expect.stringContaining('nowhere.invalid') });
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_dns_failed' });
  });
});
