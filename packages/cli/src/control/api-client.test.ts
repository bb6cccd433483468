import { Secret } from '@sallyport/sdk';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type ApiClient, type ApiClientOptions, openApiClient } from './api-client.js';
import { developmentCertificates, json, type TestServer, testServer } from './control-server.test.support.js';

/** A client that waits for nothing; `pauses` is how long it would have waited. */
async function clientFor(address: string, more: Partial<ApiClientOptions> = {}): Promise<ApiClient & { readonly pauses: number[] }> {
  const pauses: number[] = [];
  const client = await openApiClient({
    address: new URL(address),
    token: async () => new Secret('the-token'),
    pause: async (milliseconds) => void pauses.push(milliseconds),
    ...more,
  });
  onTestFinished(() => client.close());
  return { ...client, pauses };
}

/** A server that answers each request by the next of these. */
async function serverWith(...answers: readonly Parameters<typeof testServer>[0][]): Promise<TestServer> {
  let count = 0;
  return testServer((request, response) => answers[Math.min(count++, answers.length - 1)]?.(request, response));
}

const unavailable: Parameters<typeof testServer>[0] = (_, response) => json(response, 503, { code: 'database_busy' });
const reset: Parameters<typeof testServer>[0] = ({ socket }) => socket.destroy();
const fine: Parameters<typeof testServer>[0] = (_, response) => json(response, 200, { fine: true }, { ETag: '"7"' });

describe('a request', () => {
  test('is signed and goes below the address; the answer comes with its ETag', async () => {
    const server = await serverWith(fine);
    const client = await clientFor(`${server.url}/sallyport`);
    expect(await client.request({ path: '/api/actors', query: { limit: 3, state: undefined, name: 'a&b' } })).toEqual({
      status: 200,
      body: { fine: true },
      etag: '"7"',
    });
    expect(server.seen[0]).toMatchObject({
      url: '/sallyport/api/actors?limit=3&name=a%26b',
      headers: { authorization: 'Bearer the-token', accept: 'application/json' },
    });
    expect(server.seen[0]?.headers).not.toHaveProperty('idempotency-key');
  });

  test('carries JSON and the precondition', async () => {
    let said = '';
    const server = await testServer(async (request, response) => {
      for await (const chunk of request) said += String(chunk);
      response.writeHead(204).end();
    });
    const client = await clientFor(server.url);
    expect(await client.request({ method: 'PATCH', path: '/x', body: { a: 1 }, ifMatch: '"7"' })).toEqual({
      status: 204,
      body: undefined,
      etag: undefined,
    });
    expect(said).toBe('{"a":1}');
    expect(server.seen[0]?.headers).toMatchObject({ 'if-match': '"7"', 'content-type': 'application/json' });
  });

  test.each(['GET', 'PUT', 'DELETE', 'POST', 'PATCH'] as const)('%s is repeated after a lost connection and a busy server', async (method) => {
    const server = await serverWith(reset, unavailable, fine);
    const client = await clientFor(server.url);
    expect((await client.request({ method, path: '/x' })).body).toEqual({ fine: true });
    expect(server.seen).toHaveLength(3);
    expect(client.pauses).toHaveLength(2);
    const keys = new Set(server.seen.map(({ headers }) => headers['idempotency-key']));
    // What is told again is known to be the same by its key.
    expect(keys.size).toBe(1);
    expect([...keys][0] !== undefined).toBe(method === 'POST' || method === 'PATCH');
  });

  test('is repeated twice at most', async () => {
    const server = await serverWith(unavailable);
    const client = await clientFor(server.url);
    await expect(client.request({ path: '/x' })).rejects.toMatchObject({ code: 'database_busy' });
    expect(server.seen).toHaveLength(3);
  });

  test('waits as long as it is asked to, but not for minutes', async () => {
    const asking =
      (seconds: string): Parameters<typeof testServer>[0] =>
      (_, response) =>
        json(response, 429, {}, { 'Retry-After': seconds });
    const client = await clientFor((await serverWith(asking('2'), fine)).url);
    await client.request({ path: '/x' });
    expect(client.pauses).toEqual([2000]);
    const patient = await clientFor((await serverWith(asking('600'), fine)).url);
    await expect(patient.request({ path: '/x' })).rejects.toMatchObject({ code: 'server_refused' });
    expect(patient.pauses).toEqual([]);
  });

  test('is not repeated when it was refused', async () => {
    const server = await serverWith((_, response) => json(response, 500, {}), fine);
    await expect((await clientFor(server.url)).request({ path: '/x' })).rejects.toMatchObject({ code: 'server_refused' });
    expect(server.seen).toHaveLength(1);
  });

  test('can be taken back, also while it waits', async () => {
    const server = await serverWith(unavailable);
    const end = new AbortController();
    const client = await clientFor(server.url, {
      pause: async (_, signal) => {
        end.abort(new Error('enough'));
        signal?.throwIfAborted();
      },
    });
    await expect(client.request({ path: '/x', signal: end.signal })).rejects.toThrow('enough');
    expect(server.seen).toHaveLength(1);
  });

  test('ends when the server does not answer', async () => {
    const server = await testServer(() => {});
    const client = await clientFor(server.url, { timeout: 50, pause: async () => {} });
    await expect(client.request({ path: '/x' })).rejects.toMatchObject({ code: 'server_unreachable' });
  });
});

describe('a refusal', () => {
  test('keeps code, sentence, hint and request id', async () => {
    const server = await serverWith((_, response) =>
      json(response, 404, { code: 'actor_not_found', detail: 'There is no bob', hint: 'Look again.', request_id: 'req_7' }),
    );
    await expect((await clientFor(server.url)).request({ path: '/x' })).rejects.toMatchObject({
      code: 'actor_not_found',
      message: 'There is no bob',
      hint: 'Look again.',
      members: { request_id: 'req_7', status: 404 },
    });
  });

  test.each([
    ['an unknown code', { code: 'flux_low', title: 'Low flux' }, 'The server answered 418, flux_low: Low flux'],
    ['an internal error', { code: 'internal_error', detail: 'Oops' }, 'The server answered 418, internal_error: Oops'],
    ['the error of AuthProxy', { error: 'no' }, 'The server answered 418: no'],
    ['the name of something of every object', { code: 'constructor' }, 'The server answered 418, constructor'],
    ['no object', [], 'The server answered 418'],
    ['a command to the terminal', { error: '\x1b[2Jboo\u202e' }, 'The server answered 418: \\u{1b}[2Jboo\\u{202e}'],
  ])('with %s', async (_, body, message) => {
    const server = await serverWith((_request, response) => json(response, 418, body, { 'X-Request-Id': 'req_8' }));
    await expect((await clientFor(server.url)).request({ path: '/x' })).rejects.toMatchObject({
      code: 'server_refused',
      message,
      members: { request_id: 'req_8' },
    });
  });
});

describe('what is no answer', () => {
  test('a redirect is not followed: the token stays with the server it is for', async () => {
    const other = await serverWith(fine);
    const server = await serverWith((_, response) => response.writeHead(307, { Location: `${other.url}/x` }).end());
    await expect((await clientFor(server.url)).request({ path: '/x' })).rejects.toMatchObject({ code: 'server_answer_invalid' });
    expect(other.seen).toHaveLength(0);
  });

  test.each(['//evil.example/x', '/\\evil.example', '/@evil.example'])('a path that looks like an address, %s, stays a path', async (path) => {
    const server = await serverWith(fine);
    await (await clientFor(server.url)).request({ path });
    expect(server.seen[0]?.url).toBe(path);
  });

  test('a web page', async () => {
    const server = await serverWith((_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>'));
    await expect((await clientFor(server.url)).request({ path: '/x' })).rejects.toThrow('something else than JSON');
  });

  test('broken JSON', async () => {
    const server = await serverWith((_, response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end('{'));
    await expect((await clientFor(server.url)).request({ path: '/x' })).rejects.toThrow('something else than JSON');
  });

  test('one without end', async () => {
    const server = await serverWith((_, response) => {
      const chunk = Buffer.alloc(1024 * 1024, 0x20);
      const more = (): void => {
        if (!response.destroyed) response.write(chunk, more);
      };
      more();
    });
    await expect((await clientFor(server.url)).request({ path: '/x' })).rejects.toThrow('larger than 16 MiB');
  });

  test('a server that is not there', async () => {
    const client = await clientFor('http://127.0.0.1:1');
    await expect(client.request({ path: '/x' })).rejects.toMatchObject({
      code: 'server_unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect(client.pauses).toHaveLength(2);
  });
});

describe('pages', () => {
  test('follow the cursor, which goes alone, and are fetched when they are wanted', async () => {
    const server = await testServer(({ url = '' }, response) => {
      const cursor = new URL(url, 'http://x').searchParams.get('cursor');
      json(response, 200, cursor === null ? { items: [1, 2], cursor: 'c2' } : cursor === 'c2' ? { items: [3], cursor: 'c3' } : { items: [] });
    });
    const client = await clientFor(server.url);
    const pages = client.pages('/api/actors', { limit: 2 });
    expect((await pages.next()).value).toEqual([1, 2]);
    expect(server.seen).toHaveLength(1);
    expect((await pages.next()).value).toEqual([3]);
    expect((await pages.next()).value).toEqual([]);
    expect((await pages.next()).done).toBe(true);
    expect(server.seen.map(({ url }) => url)).toEqual(['/api/actors?limit=2', '/api/actors?cursor=c2', '/api/actors?cursor=c3']);
  });

  test('that never end are noticed', async () => {
    const client = await clientFor((await serverWith((_, response) => json(response, 200, { items: [], cursor: 'again' }))).url);
    const all = async (): Promise<void> => {
      for await (const page of client.pages('/x')) expect(page).toEqual([]);
    };
    await expect(all()).rejects.toMatchObject({ code: 'server_answer_invalid' });
  });

  test.each([[{}], [[]], [{ items: 3 }], [{ items: [], cursor: 3 }]])('%j is none', async (body) => {
    const client = await clientFor((await serverWith((_, response) => json(response, 200, body))).url);
    await expect(client.pages('/x').next()).rejects.toMatchObject({ code: 'server_answer_invalid' });
  });
});

test('a certificate is held against the authority that is given', async () => {
  const certificates = await developmentCertificates();
  const server = await testServer(fine, certificates);
  const trusting = await clientFor(server.url, { authorities: certificates.ca });
  expect((await trusting.request({ path: '/x' })).status).toBe(200);
  const strict = await clientFor(server.url);
  await expect(strict.request({ path: '/x' })).rejects.toMatchObject({ code: 'server_unreachable', hint: expect.stringContaining('--ca') });
  expect(strict.pauses).toEqual([]);
});
