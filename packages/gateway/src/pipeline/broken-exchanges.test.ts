import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { connectThrough, type RawClient, rawClient, secure } from '../testing/raw-client.test.support.js';
import { plainScene, problem, type Scene, secureScene, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply, type Script, type UpstreamRequest } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

const end = (socket: Socket): void => void socket.end();
const reset = (_: Socket, request: UpstreamRequest): void => request.reset();

/** Answers with `text`, and breaks off once the client has part of it. */
function breaking(text: string, how: (socket: Socket, request: UpstreamRequest) => void): { script: Script; break(): void } {
  let broken = (): void => {};
  return {
    script: (request, socket) => {
      broken = () => how(socket, request);
      socket.write(text);
    },
    break: () => broken(),
  };
}

/** The door and the way to it: plain HTTP by absolute-form, and an intercepted connection with TLS on both sides. */
const ways: readonly [string, (script: Script) => Promise<{ scene: Scene; client: RawClient; prefix: string }>][] = [
  [
    'on a plain connection',
    async (script) => {
      const scene = await plainScene(script);
      return { scene, client: await rawClient(scene.gateway.forward), prefix: scene.origin };
    },
  ],
  [
    'on an intercepted connection',
    async (script) => {
      const scene = await secureScene(script);
      const tunnel = await connectThrough(scene.gateway.forward, scene.authority);
      return { scene, client: await secure(tunnel, { ca: scene.gateway.caPem, servername: 'api.test' }), prefix: '' };
    },
  ],
];

describe.each(ways)('a response that is cut short %s is seen as cut short', (_, open) => {
  test.each([
    ['in the middle of a length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', end],
    ['in the middle of a length, by a reset', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', reset],
    ['between two chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', end],
    ['in the middle of a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello', end],
    ['before the end of the trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n', end],
    ['by a reset where it would end with the connection', 'HTTP/1.1 200 OK\r\n\r\nhello', reset],
  ])('%s', async (_what, text, how) => {
    const upstream = breaking(text, how);
    const { scene, client, prefix } = await open(upstream.script);
    client.write(`GET ${prefix}/ HTTP/1.1\r\nHost: ${scene.authority}\r\n\r\n`);
    const head = await client.reader.head();
    expect(head?.startLine).toBe('HTTP/1.1 200 OK');
    expect((await client.reader.until('hello'))?.toString()).toContain('hello');
    upstream.break();
    expect((await client.reader.rest()).toString()).not.toContain('0\r\n\r\n');
    expect(client.reader.ended).toBe('reset');
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_reset', status: 200, upstreamStatus: 200 });
    expect(await scene.gateway.metrics()).toContain('sallyport_errors_total{code="upstream_reset"} 1');
  });
});

describe('an upstream that gives no answer', () => {
  test.each([
    ['it closes', end, 'upstream_reset'],
    ['it resets', reset, 'upstream_reset'],
    ['it closes in the middle of the head', (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\nX-'), 'upstream_reset'],
    ['it is no HTTP', (socket: Socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'), 'upstream_response_malformed'],
    [
      'two lengths',
      (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'),
      'upstream_response_malformed',
    ],
    [
      'a length and chunks',
      (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'),
      'upstream_response_malformed',
    ],
    [
      'chunks inside gzip',
      (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'),
      'upstream_response_malformed',
    ],
    [
      'a chunk size that is none',
      (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n'),
      'upstream_response_malformed',
    ],
    ['a head without end', (socket: Socket) => void socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(40_000)}`), 'upstream_response_malformed'],
    [
      'interim responses without end',
      (socket: Socket) => void socket.write('HTTP/1.1 102 Wait\r\n\r\n'.repeat(2_000)),
      'upstream_response_malformed',
    ],
    [
      'a line break in the reason',
      (socket: Socket) => void socket.write('HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n'),
      'upstream_response_malformed',
    ],
  ])('that can be passed on is a 502: %s', async (_, answer, code) => {
    const { gateway, upstream, origin, authority } = await plainScene((request, socket) => answer(socket, request));
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`]);
    expect(response.status).toBe(502);
    expect(problem(response).code).toBe(code);
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: code, status: 502 });
    // The client's connection is not to blame, and the upstream's is not used again.
    upstream.script = echo;
    expect((await client.request(`GET ${origin}/2 HTTP/1.1`, [`Host: ${authority}`])).status).toBe(200);
    expect(upstream.requests.at(-1)?.connection).toBeGreaterThan(0);
  });
});

describe('a client that goes away', () => {
  const half = (scene: Scene): string => `POST ${scene.origin}/ HTTP/1.1\r\nHost: ${scene.authority}\r\nContent-Length: 10\r\n\r\nhello`;

  test.each([
    ['resets in the middle of its body', (client: RawClient) => client.reset()],
    ['closes in the middle of its body', (client: RawClient) => void client.socket.end()],
  ])('and %s takes the request with it', async (_, leave) => {
    let upstreamEnd: Promise<unknown> = Promise.resolve();
    const scene = await plainScene(async (request) => {
      upstreamEnd = request.body();
      await upstreamEnd;
    });
    const client = await rawClient(scene.gateway.forward);
    client.write(half(scene));
    await expect.poll(() => scene.upstream.requests.length).toBe(1);
    leave(client);
    expect(await upstreamEnd).toMatchObject({ complete: false });
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'aborted', error: 'client_aborted', status: 0 });
  });

  test('while it waits for the answer ends the request upstream', async () => {
    const scene = await plainScene(async (request) => void (await request.reader.end()));
    const client = await rawClient(scene.gateway.forward);
    client.write(`GET ${scene.origin}/ HTTP/1.1\r\nHost: ${scene.authority}\r\n\r\n`);
    await expect.poll(() => scene.upstream.requests.length).toBe(1);
    client.reset();
    expect(await scene.upstream.requests[0]?.reader.end()).not.toBe('open');
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'aborted', error: 'client_aborted', status: 0 });
  });

  test('in the middle of the answer ends it upstream', async () => {
    const scene = await plainScene(async (request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      await request.reader.end();
    });
    const client = await rawClient(scene.gateway.forward);
    client.write(`GET ${scene.origin}/ HTTP/1.1\r\nHost: ${scene.authority}\r\n\r\n`);
    await client.reader.until('hello');
    client.reset();
    expect(await scene.upstream.requests[0]?.reader.end()).not.toBe('open');
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'aborted', error: 'client_aborted', status: 200 });
  });

  test('after a whole request, but only with its own half, still gets the answer', async () => {
    const scene = await plainScene();
    const client = await rawClient(scene.gateway.forward);
    client.socket.end(`GET ${scene.origin}/x HTTP/1.1\r\nHost: ${scene.authority}\r\n\r\n`);
    expect(await client.reader.response()).toMatchObject({ status: 200, complete: true });
    expect(await client.reader.end()).toBe('end');
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'completed' });
  });

  test('in the middle of a head makes no exchange', async () => {
    const scene = await plainScene();
    const client = await rawClient(scene.gateway.forward);
    client.write('GET http://api.test/ HT');
    client.socket.end();
    await client.reader.end();
    expect(scene.gateway.exchanges).toHaveLength(0);
  });

  test('at any byte of its request leaves nothing behind', async () => {
    const scene = await plainScene();
    const whole = half(scene);
    for (let cut = 0; cut < whole.length; cut += 3) {
      const client = await rawClient(scene.gateway.forward);
      client.write(whole.slice(0, cut));
      client.reset();
    }
    const last = await rawClient(scene.gateway.forward);
    expect((await last.request(`GET ${scene.origin}/ HTTP/1.1`, [`Host: ${scene.authority}`])).status).toBe(200);
    last.close();
    await expect.poll(() => scene.gateway.metrics()).toMatch(/sallyport_client_connections\{door="forward"\} 0/);
    const metrics = await scene.gateway.metrics();
    expect(metrics).toContain('sallyport_active_exchanges{door="forward"} 0');
    expect(metrics).toContain('sallyport_upstream_connections{state="active"} 0');
    expect(metrics).toContain('sallyport_internal_faults_total 0');
  });
});

test('a malformed body from the client is refused, and the half request does not look whole upstream', async () => {
  let seen: Promise<unknown> = Promise.resolve();
  const { gateway, origin, authority } = await plainScene(async (request) => {
    seen = request.body();
    await seen;
  });
  const client = await rawClient(gateway.forward);
  client.write(`POST ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
  await expect.poll(() => gateway.metrics()).toContain('sallyport_upstream_connections{state="active"} 1');
  client.write('5\r\nhelloX');
  const response = await client.reader.response();
  expect(problem(response)).toMatchObject({ status: 400, code: 'request_malformed' });
  expect(await seen).toMatchObject({ complete: false });
  expect(await gateway.recorded(1)).toMatchObject({ outcome: 'refused', error: 'request_malformed' });
});

test('a client that is told to go away in the middle of its body can read why', async () => {
  const { gateway, origin, authority } = await plainScene((_, socket) => void socket.write(reply(413, 'too much')));
  const client = await rawClient(gateway.forward);
  client.write(`POST ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 1000000\r\n\r\n`);
  const response = await client.reader.response();
  expect(response).toMatchObject({ status: 413, complete: true, body: Buffer.from('too much') });
  expect(response.field('Connection')).toBe('close');
  client.write(Buffer.alloc(500_000));
  expect(await client.reader.end()).toBe('end');
  expect(gateway.exchanges).toMatchObject([{ outcome: 'completed', status: 413 }]);
});
