import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import type { Response } from '../testing/message-reader.test.support.js';
import { rawClient } from '../testing/raw-client.test.support.js';
import { plainScene, problem, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply, type Script } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

const SECRET = 'the-secret-value';
const credentials = `
credentials:
  key: { source: { type: static, value: ${SECRET} }, bind: [{ hosts: ["api.test:*"], place: { header: X-Key }, plaintext: true }] }`;

async function answered(script: Script, { method = 'GET', sections = credentials } = {}) {
  const scene = await plainScene(script, sections);
  const client = await rawClient(scene.gateway.sidecar);
  const call = (): Promise<Response> =>
    client.request(`${method} /proxy HTTP/1.1`, ['Host: s', `X-Connect-Target-URL: ${scene.origin}/`, 'Connect-Request-ID: trace-1']);
  return { scene, client, call, response: await call() };
}

const says =
  (text: string | Uint8Array): Script =>
  (_, socket) =>
    void socket.write(text);

describe('the body of an error of the upstream', () => {
  test.each([
    [400, 'Request rejected by upstream service'],
    [401, 'Request rejected by upstream service'],
    [404, 'Request rejected by upstream service'],
    [429, 'Request rejected by upstream service'],
    [499, 'Request rejected by upstream service'],
    [500, 'Upstream service error'],
    [503, 'Upstream service error'],
    [599, 'Upstream service error'],
  ])('%i is replaced, and the status is kept', async (status, error) => {
    const { scene, response } = await answered(
      says(reply(status, `<html>stack trace with ${SECRET}</html>`, ['Content-Type: text/html', 'Retry-After: 3', 'X-Other: y'])),
    );
    expect(response).toMatchObject({ status, reason: 'Scripted', complete: true });
    expect(response.body.toString()).toBe(JSON.stringify({ error, trace_id: 'trace-1', status }));
    expect(response.all('Content-Type')).toEqual(['application/json']);
    expect(response.all('Content-Length')).toEqual([String(response.body.length)]);
    expect(response.field('Retry-After')).toBe('3');
    expect(response.field('X-Other')).toBe('y');
    expect(response.field('X-Sallyport-Error')).toBeUndefined();
    expect(await scene.gateway.recorded(1)).toMatchObject({
      outcome: 'completed',
      status,
      upstreamStatus: status,
      responseBytes: response.body.length,
    });
  });

  test.each([200, 204, 301, 304, 399])('%i is no error and is passed on', async (status) => {
    const bodiless = status === 204 || status === 304;
    const { response } = await answered(says(bodiless ? `HTTP/1.1 ${status} Fine\r\n\r\n` : reply(status, 'theirs', ['Content-Type: text/plain'])));
    expect(response).toMatchObject({ status, body: Buffer.from(bodiless ? '' : 'theirs') });
  });

  test('takes with it whatever described it', async () => {
    const body = gzipSync('<html>error</html>');
    const described = [
      'Content-Encoding: gzip',
      'ETag: "x"',
      'Digest: sha-256=x',
      'Content-MD5: x',
      'Repr-Digest: x',
      'Last-Modified: x',
      'Content-Language: de',
      'Accept-Ranges: bytes',
    ];
    const head = `HTTP/1.1 500 Oops\r\n${described.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n`;
    const { response } = await answered(says(Buffer.concat([Buffer.from(head), body])));
    expect(response.lines.map((line) => line.slice(0, line.indexOf(':'))).sort()).toEqual([
      'Connect-Request-ID',
      'Content-Length',
      'Content-Type',
      'Server-Timing',
    ]);
    expect(JSON.parse(response.body.toString())).toMatchObject({ status: 500 });
  });

  test('goes when it is chunked with trailers, and when it lasts until the end of the connection', async () => {
    const chunked = await answered(says('HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n'));
    expect(chunked.response).toMatchObject({ complete: true, trailers: [] });
    expect(chunked.response.field('Transfer-Encoding')).toBeUndefined();
    const closing = await answered((_, socket) => void socket.end('HTTP/1.1 500 x\r\n\r\nuntil the end'));
    expect(closing.response).toMatchObject({ complete: true, status: 500 });
    expect((await closing.call()).status).toBe(500);
  });

  test('is not there for HEAD, but has its length', async () => {
    const { response, call } = await answered(says('HTTP/1.1 404 x\r\nContent-Length: 1000\r\n\r\n'), { method: 'HEAD' });
    expect(response).toMatchObject({ status: 404 });
    expect(response.field('Content-Length')).toBe(
      String(JSON.stringify({ error: 'Request rejected by upstream service', trace_id: 'trace-1', status: 404 }).length),
    );
    expect((await call()).status).toBe(404);
  });

  test.each([
    [
      'it is longer than anybody reads',
      (_request: unknown, socket: Parameters<Script>[1]) => {
        socket.write('HTTP/1.1 500 x\r\nContent-Length: 100000000\r\n\r\n');
        socket.write(Buffer.alloc(3_000_000));
      },
    ],
    ['it is cut short', (_request: unknown, socket: Parameters<Script>[1]) => void socket.end('HTTP/1.1 500 x\r\nContent-Length: 100\r\n\r\nhalf')],
    [
      'it cannot be read',
      (_request: unknown, socket: Parameters<Script>[1]) => {
        // More than one read, so that the head has been dealt with when the fault is met.
        socket.write(`HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n1400\r\n${'x'.repeat(0x1400)}\r\nwhat?\r\n`);
      },
    ],
    ['it stops', (_request: unknown, socket: Parameters<Script>[1]) => void socket.write('HTTP/1.1 500 x\r\nContent-Length: 100\r\n\r\nhalf')],
    [
      'it never ends',
      (_request: unknown, socket: Parameters<Script>[1]) => {
        socket.write('HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n');
        const timer = setInterval(() => socket.write('1\r\nx\r\n'), 10);
        socket.on('close', () => clearInterval(timer));
      },
    ],
  ])('does not matter when %s: the answer is whole, and the upstream connection is given up', async (_, script) => {
    const { scene, client, response, call } = await answered(script, { sections: 'timeouts: { idle: 150ms, total: 400ms }' });
    expect(response).toMatchObject({ status: 500, complete: true });
    expect(await scene.gateway.recorded(1)).toMatchObject({ status: 500 });
    scene.upstream.script = echo;
    expect((await call()).status).toBe(200);
    expect(scene.upstream.requests.at(-1)?.connection).toBe(1);
    expect(client.reader.ended).toBe('open');
  });

  test('is passed on where the configuration says so, without what is sensitive', async () => {
    const sections = `listeners: { sidecar: { port: 0, insecure_targets: true, normalize_errors: false }, ops: { port: 0 } }${credentials}`;
    const { response } = await answered(
      says(reply(503, 'theirs', ['Content-Type: text/plain', `X-Echo: ${SECRET}`, 'Set-Cookie: a=b', 'X-Key: x'])),
      { sections },
    );
    expect(response.body.toString()).toBe('theirs');
    expect(response.field('Content-Type')).toBe('text/plain');
    expect(response.field('X-Echo')).toBe('[secret]');
    expect(response.all('Set-Cookie')).toEqual([]);
    expect(response.all('X-Key')).toEqual([]);
  });
});

test('an error that echoes the secret in what described the body has it neither there nor twice', async () => {
  const { response } = await answered(says(reply(500, 'x', [`Content-Type: ${SECRET}`, `X-Echo: ${SECRET}`, `ETag: "${SECRET}"`])));
  expect(response.all('Content-Type')).toEqual(['application/json']);
  expect(response.all('ETag')).toEqual([]);
  expect(response.all('X-Echo')).toEqual(['[secret]']);
});

test.each(['Authorization', 'Proxy-Authorization', 'Cookie', 'Set-Cookie', 'X-API-Key', 'X-Auth-Token', 'X-Sallyport-Error'])(
  '%s of an upstream never reaches the platform',
  async (name) => {
    const { response } = await answered(says(reply(200, 'x', [`${name}: a`, `${name.toLowerCase()}: b`])));
    expect(response.all(name)).toEqual([]);
  },
);

test('a refusal of ours is a problem document, never a normalized error', async () => {
  const { response } = await answered(says(reply(200)), { sections: 'policy: { rules: [] }' });
  expect(response.status).toBe(403);
  expect(response.field('Content-Type')).toBe('application/problem+json');
  expect(problem(response)).toMatchObject({ code: 'policy_denied', error: 'host not allowed' });
});
