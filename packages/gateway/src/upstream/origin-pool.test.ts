import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Response } from '../testing/message-reader.test.support.js';
import { rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, type Scene, secureScene, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply, type Script } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

const TWO = { a: 'token-of-the-first-caller', b: 'token-of-the-second-caller' };

const twoCallers = `
callers: { a: { token: ${TWO.a}, credentials: [key-a] }, b: { token: ${TWO.b}, credentials: [key-b] } }
credentials:
  key-a: { source: { type: static, value: secret-a }, bind: [{ hosts: ["api.test:*"], paths: [/keyed], place: { header: X-Key }, plaintext: true }] }
  key-b: { source: { type: static, value: secret-b }, bind: [{ hosts: ["api.test:*"], paths: [/keyed], place: { header: X-Key }, plaintext: true }] }`;

async function ask({ gateway, origin, authority }: Scene, path: string, { method = 'GET', token = '', body = '' } = {}): Promise<Response> {
  const client = await rawClient(gateway.forward);
  const identity = token === '' ? [] : [`Proxy-Authorization: Bearer ${token}`];
  const length = body === '' ? [] : [`Content-Length: ${body.length}`];
  const response = await client.request(`${method} ${origin}${path} HTTP/1.1`, [`Host: ${authority}`, ...identity, ...length], body);
  client.close();
  return response;
}

async function idle(scene: Scene, count: number): Promise<void> {
  await expect.poll(() => scene.gateway.metrics()).toContain(`sallyport_upstream_connections{state="idle"} ${count}`);
}

describe('a connection', () => {
  test('is used again by the same identity, and by no other', async () => {
    const scene = await plainScene(echo, twoCallers);
    const order = [
      [TWO.a, '/'],
      [TWO.a, '/'],
      [TWO.b, '/'],
      [TWO.a, '/keyed'],
      [TWO.b, '/keyed'],
      [TWO.b, '/'],
      [TWO.a, '/keyed'],
    ] as const;
    const connections: number[] = [];
    for (const [token, path] of order) connections.push(echoed(await ask(scene, path, { token })).connection);
    expect(connections).toEqual([0, 0, 1, 2, 3, 1, 2]);
    expect(scene.gateway.exchanges.map(({ upstreamReused }) => upstreamReused)).toEqual([false, true, false, false, false, true, true]);
  });

  test('resumes its TLS session when it is opened anew', async () => {
    const scene = await secureScene((_, socket) => {
      socket.write(reply(200, String((socket as Socket & { isSessionReused(): boolean }).isSessionReused()), ['Connection: close']));
    });
    expect((await ask(scene, '/')).body.toString()).toBe('false');
    await expect.poll(async () => (await ask(scene, '/')).body.toString()).toBe('true');
  });

  test('is closed when the upstream says so, or speaks HTTP/1.0', async () => {
    const scene = await plainScene((request, socket) => {
      socket.write(request.target === '/old' ? reply(200, 'old').replace('1.1', '1.0') : reply(200, 'x', ['Connection: close']));
    });
    for (const path of ['/', '/', '/old', '/old']) expect((await ask(scene, path)).status).toBe(200);
    expect(scene.upstream.requests.map(({ connection }) => connection)).toEqual([0, 1, 2, 3]);
    await idle(scene, 0);
  });

  test('that the upstream has closed is not used: neither for a request that may be repeated nor for one that may not', async () => {
    const scene = await plainScene();
    await ask(scene, '/');
    scene.upstream.sockets[0]?.end();
    await idle(scene, 0);
    expect((await ask(scene, '/', { method: 'POST', body: 'x' })).status).toBe(200);
  });
});

describe('an unsolicited answer', () => {
  const split = `HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged`;
  const cases: readonly [string, Script][] = [
    ['in the same write', (_, socket) => void socket.write(`${reply(200, 'mine')}${split}`)],
    ['after a body that ends with its head', (_, socket) => void socket.write(`HTTP/1.1 204 No Content\r\n\r\n${split}`)],
    ['as the body of a 304', (_, socket) => void socket.write(`HTTP/1.1 304 Not Modified\r\nContent-Length: ${split.length}\r\n\r\n${split}`)],
    ['behind the chunks', (_, socket) => void socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmine\r\n0\r\n\r\n${split}`)],
    [
      'behind the trailers',
      (_, socket) => void socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmine\r\n0\r\nX: y\r\n\r\n${split}`),
    ],
  ];

  test.each(cases)('%s never reaches the next caller', async (_, script) => {
    const scene = await plainScene(script);
    expect((await ask(scene, '/1')).body.toString()).not.toContain('forged');
    scene.upstream.script = echo;
    const second = await ask(scene, '/2');
    expect(echoed(second)).toMatchObject({ target: '/2', connection: 1 });
    await idle(scene, 1);
  });

  test('as the body of a HEAD never reaches the next caller', async () => {
    const scene = await plainScene((_, socket) => void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${split.length}\r\n\r\n${split}`));
    await ask(scene, '/1', { method: 'HEAD' });
    scene.upstream.script = echo;
    expect(echoed(await ask(scene, '/2'))).toMatchObject({ target: '/2', connection: 1 });
  });

  test.each(['x', split])('that comes later retires the connection that it came on', async (bytes) => {
    const scene = await plainScene();
    await ask(scene, '/1');
    await idle(scene, 1);
    scene.upstream.sockets[0]?.write(bytes);
    await idle(scene, 0);
    expect(echoed(await ask(scene, '/2'))).toMatchObject({ target: '/2', connection: 1 });
  });
});

describe('a kept connection that turns out to be dead', () => {
  /** Keeps the first connection, and resets it as soon as the second request has come. */
  const dying: Script = (request, socket) => {
    if (request.connection === 0 && request.target !== '/first') request.reset();
    else socket.write(reply(200, `${request.connection}`));
  };

  test.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])('is replaced for a %s without a body, once', async (method) => {
    const scene = await plainScene(dying);
    await ask(scene, '/first');
    const response = await ask(scene, '/second', { method });
    expect(response.status).toBe(200);
    expect(scene.upstream.requests.map(({ connection }) => connection)).toEqual([0, 0, 1]);
    expect(await scene.gateway.recorded(2)).toMatchObject({ outcome: 'completed', upstreamReused: false });
  });

  test.each([
    ['POST', ''],
    ['PATCH', ''],
    ['PUT', 'body'],
    ['POST', 'body'],
  ])('is an error for a %s with body "%s": it may have been acted upon', async (method, body) => {
    const scene = await plainScene(dying);
    await ask(scene, '/first');
    expect(problem(await ask(scene, '/second', { method, body })).code).toBe('upstream_reset');
    expect(scene.upstream.requests).toHaveLength(2);
  });

  test('is not replaced for ever', async () => {
    const scene = await plainScene((request, socket) => {
      if (request.target === '/first') socket.write(reply(200, 'ok'));
      else request.reset();
    });
    await ask(scene, '/first');
    expect(problem(await ask(scene, '/second')).code).toBe('upstream_reset');
    expect(scene.upstream.requests).toHaveLength(3);
  });
});

describe('limits', () => {
  test('of connections to one upstream is answered 503, and room is made when one ends', async () => {
    const held: Socket[] = [];
    const scene = await plainScene((_, socket) => void held.push(socket), 'limits: { connections_per_upstream: 2 }');
    const waiting = [ask(scene, '/1'), ask(scene, '/2')];
    await expect.poll(() => held.length).toBe(2);
    expect(problem(await ask(scene, '/3'))).toMatchObject({
      code: 'limit_exceeded',
      detail: expect.stringContaining('limits.connections_per_upstream'),
    });
    for (const socket of held.splice(0)) socket.write(reply(200, 'ok'));
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
    scene.upstream.script = echo;
    expect((await ask(scene, '/4')).status).toBe(200);
  });

  test('of idle connections keeps so many and closes the rest', async () => {
    const held: Socket[] = [];
    const scene = await plainScene((_, socket) => void held.push(socket), 'limits: { idle_per_upstream: 1 }');
    const waiting = [ask(scene, '/1'), ask(scene, '/2'), ask(scene, '/3')];
    await expect.poll(() => held.length).toBe(3);
    for (const socket of held) socket.write(reply(200, 'ok'));
    await Promise.all(waiting);
    await idle(scene, 1);
    expect(await scene.gateway.metrics()).toContain('sallyport_upstream_connections{state="active"} 0');
  });

  test('of time closes a connection that nobody uses', async () => {
    const scene = await plainScene(echo, 'timeouts: { keep_alive: 100ms }');
    await ask(scene, '/1');
    await idle(scene, 0);
    expect(echoed(await ask(scene, '/2')).connection).toBe(1);
  });
});
