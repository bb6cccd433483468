import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { controlServer, developmentCertificates, newKey, testServer } from './control-server.test.support.js';
import { createRequestSigner } from './request-token.js';
import { openSigningProxy, type SigningProxyOptions } from './signing-proxy.js';

const { privatePem, publicPem } = newKey();
const signer = createRequestSigner({
  identity: { actor: 'ada', namespace: 'root.team', issuer: 'ada', keyId: undefined },
  key: { algorithm: 'EdDSA', key: createPrivateKey(privatePem), kid: undefined },
});

async function proxyTo(upstream: string | undefined, more: Partial<SigningProxyOptions> = {}): Promise<string> {
  const target = upstream === undefined ? undefined : ({ address: new URL(upstream), service: 'admin-api', authorities: undefined } as const);
  const proxy = await openSigningProxy({ ip: '127.0.0.1', port: 0, signer, upstream: target, allowedHosts: [], allowedOrigins: [], ...more });
  onTestFinished(() => proxy.close());
  return proxy.url;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** Node's own client, which says what browsers' fetch would not: any Host, any field. */
async function ask(url: string, options: RequestOptions & { ca?: string } = {}, body?: string | Buffer): Promise<Answer> {
  const sent = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, { agent: false, ...options });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) };
}

describe('a request', () => {
  test('is signed in the place of what it came with', async () => {
    const server = await controlServer(publicPem);
    const proxy = await proxyTo(server.url);
    const { status, body } = await ask(`${proxy}/me`, { headers: { authorization: 'Bearer theirs', cookie: 'session=of-another-program' } });
    expect({ status, body: JSON.parse(body.toString()) as unknown }).toMatchObject({
      status: 200,
      body: { actor: { external_id: 'ada', namespace: 'root.team' } },
    });
    expect(server.seen[0]?.headers).not.toHaveProperty('cookie');
    expect(server.seen[0]?.headers.host).toBe(new URL(server.url).host);
  });

  test('keeps method, path, query and body, byte for byte', async () => {
    const server = await controlServer(publicPem);
    const proxy = await proxyTo(`${server.url}/base`);
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 256));
    const answer = await ask(`${proxy}/x%2Fy?q=a%20b&q=`, { method: 'PUT', headers: { 'x-kept': 'é'.normalize('NFC') } }, bytes);
    expect(answer.status).toBe(200);
    expect(answer.headers['x-path']).toBe('/base/x%2Fy?q=a%20b&q=');
    expect(answer.body.equals(bytes)).toBe(true);
    expect(server.seen[0]).toMatchObject({ method: 'PUT', headers: { 'x-kept': 'é', 'content-length': '300000' } });
    // Cookies of the server would be sent to every program on this host.
    expect(answer.headers).not.toHaveProperty('set-cookie');
  });

  test('streams both ways: the answer begins before the request has ended', async () => {
    const server = await controlServer(publicPem);
    const sent = httpRequest(`${await proxyTo(server.url)}/echo`, { method: 'POST', agent: false });
    sent.write('one');
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const [first] = (await once(response, 'data')) as [Buffer];
    expect(first.toString()).toBe('one');
    sent.end('two');
    expect((await buffer(response)).toString()).toBe('two');
  });

  test('loses the fields that concern one connection, and those that Connection names', async () => {
    const server = await testServer((_, response) =>
      response.writeHead(200, { Connection: 'close, x-hop', 'X-Hop': '1', 'X-End': '2', 'Keep-Alive': 'timeout=9' }).end('ok'),
    );
    const headers = {
      connection: 'close, x-secret-hop',
      'x-secret-hop': '1',
      te: 'trailers',
      'proxy-authorization': 'Basic eA==',
      'x-end': '1',
      expect: '100-continue',
    };
    const answer = await ask(`${await proxyTo(server.url)}/`, { headers });
    expect(answer.headers).toMatchObject({ 'x-end': '2' });
    expect(answer.headers).not.toHaveProperty('x-hop');
    expect(answer.headers['keep-alive']).not.toBe('timeout=9');
    const seen = server.seen[0]?.headers;
    expect(seen).toMatchObject({ 'x-end': '1' });
    for (const name of ['x-secret-hop', 'te', 'proxy-authorization', 'expect']) expect(seen).not.toHaveProperty(name);
  });

  test.each(['HEAD', 'DELETE', 'OPTIONS'])('%s has no body, and its answer neither more nor less than it should', async (method) => {
    const server = await testServer((_, response) => response.writeHead(200, { 'Content-Length': method === 'HEAD' ? 5 : 0 }).end());
    const answer = await ask(`${await proxyTo(server.url)}/`, { method });
    expect(answer).toMatchObject({ status: 200, body: Buffer.alloc(0) });
    expect(answer.headers['content-length']).toBe(method === 'HEAD' ? '5' : '0');
    expect(server.seen[0]).toMatchObject({ method });
    expect(server.seen[0]?.headers).not.toHaveProperty('transfer-encoding');
  });

  test('whose client goes away ends at the server too', async () => {
    let ended: (() => void) | undefined;
    const over = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const server = await testServer((_, response) => {
      response.once('close', () => ended?.());
      response.write('some');
    });
    const sent = httpRequest(`${await proxyTo(server.url)}/`, { agent: false });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.on('error', () => {}).destroy();
    await over;
  });

  test('whose server breaks off is broken off, not ended', async () => {
    const server = await testServer(async (_, response) => {
      response.writeHead(200, { 'Content-Length': 100 });
      await new Promise((resolve) => response.write('some', resolve));
      response.destroy();
    });
    await expect(ask(`${await proxyTo(server.url)}/`)).rejects.toThrow('aborted');
  });

  test('to a server that is not there is answered, without a token in it', async () => {
    const answer = await ask(`${await proxyTo('http://127.0.0.1:1')}/`);
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'server_unreachable', status: 502 });
    expect(answer.body.toString()).not.toMatch(/Bearer|eyJ/);
  });

  test.each(['http://127.0.0.1/x', '//evil.example/x', '*'])('for %s instead of a path is refused', async (path) => {
    const server = await controlServer(publicPem);
    expect((await ask(await proxyTo(server.url), { path })).status).toBe(400);
    expect(server.seen).toHaveLength(0);
  });
});

describe('who may call', () => {
  test.each([
    ['by another name', { host: 'evil.example' }],
    ['from a page of another origin', { origin: 'https://evil.example' }],
    ['from a page without an origin', { origin: 'null' }],
    ['for a picture in another page', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }],
    ['by a link in another page', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
  ])('not %s', async (_, headers) => {
    const server = await controlServer(publicPem);
    const answer = await ask(`${await proxyTo(server.url)}/me`, { headers });
    expect(answer.status).toBe(403);
    expect(answer.headers['x-sallyport-error']).toBe('local_request_refused');
    expect(server.seen).toHaveLength(0);
  });

  test('a name and an origin that were allowed', async () => {
    const server = await controlServer(publicPem);
    const proxy = await proxyTo(server.url, { allowedHosts: ['dev.internal'], allowedOrigins: ['http://localhost:5173'] });
    expect((await ask(`${proxy}/me`, { headers: { host: 'dev.internal:1', origin: 'http://localhost:5173' } })).status).toBe(200);
  });

  test('two Host fields are one too many', async () => {
    const { port } = new URL(await proxyTo((await controlServer(publicPem)).url));
    const socket = connect(Number(port), '127.0.0.1');
    socket.end('GET /me HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n');
    expect((await buffer(socket)).toString()).not.toContain('ada');
  });
});

describe('logins', () => {
  const login = [{ address: new URL('http://localhost:5174'), service: 'admin-api' as const }];

  test.each(['return_to_url', 'returnToUrl'])('are redirected by %s, also by a link of the application', async (name) => {
    const proxy = await proxyTo(undefined, { login });
    const answer = await ask(`${proxy}/login-redirect?${name}=${encodeURIComponent('http://localhost:5174/x')}`, {
      headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
    });
    expect(answer).toMatchObject({
      status: 302,
      headers: { location: expect.stringMatching(/^http:\/\/localhost:5174\/x\?auth_token=ey/), 'cache-control': 'no-store' },
    });
  });

  test('lead to no other address; other methods and paths are none', async () => {
    const proxy = await proxyTo(undefined, { login });
    expect((await ask(`${proxy}/login-redirect?return_to_url=http://evil.example`)).status).toBe(400);
    expect((await ask(`${proxy}/login-redirect`)).status).toBe(400);
    expect((await ask(`${proxy}/login-redirect?return_to_url=http://localhost:5174`, { method: 'POST' })).status).toBe(405);
    expect((await ask(`${proxy}/me`)).status).toBe(404);
  });

  test('are not there unless they were asked for', async () => {
    const server = await controlServer(publicPem);
    const answer = await ask(`${await proxyTo(server.url)}/login-redirect?return_to_url=http://localhost:5174`);
    expect(answer.headers['x-path']).toBe('/login-redirect?return_to_url=http://localhost:5174');
  });
});

describe('its own door', () => {
  test('speaks https with a certificate', async () => {
    const { cert, key, ca } = await developmentCertificates();
    const proxy = await proxyTo((await controlServer(publicPem)).url, { tls: { cert, key } });
    expect(proxy).toMatch(/^https:/);
    expect((await ask(`${proxy}/me`, { ca })).status).toBe(200);
  });

  test('is not opened with a key that is not that of the certificate, nor on a port that is taken', async () => {
    const [{ cert }, { key }] = [await developmentCertificates(), await developmentCertificates()];
    await expect(proxyTo(undefined, { tls: { cert, key } })).rejects.toMatchObject({ code: 'bind_failed' });
    const { port } = new URL(await proxyTo(undefined));
    await expect(proxyTo(undefined, { port: Number(port) })).rejects.toMatchObject({ code: 'address_in_use' });
  });

  test('reaches a server behind its own authority', async () => {
    const certificates = await developmentCertificates();
    const server = await testServer((_, response) => response.end('inside'), certificates);
    const target = { address: new URL(server.url), service: 'api', authorities: certificates.ca } as const;
    expect((await ask(await proxyTo(undefined, { upstream: target }))).body.toString()).toBe('inside');
    const untrusted = await ask(await proxyTo(server.url));
    expect(untrusted.status).toBe(502);
  });
});
