import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { connectThrough, rawClient, secure } from './testing/raw-client.test.support.js';
import { runningGateway } from './testing/running-gateway.test.support.js';
import { echoed, plainScene, problem, secureScene, stopEverything } from './testing/scene.test.support.js';
import { echo, reply } from './testing/scripted-upstream.test.support.js';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await stopEverything();
});

async function occupiedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const port = await occupiedPort();
  const server = servers.pop() as Server;
  server.close();
  await once(server, 'close');
  return port;
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

const listeners = (forward: number, more = ''): string => `listeners: { forward: { port: ${forward} }, ops: { port: 0 }${more} }`;

describe('at the start', () => {
  test('a port that is taken is an error that names it, and nothing stays open', async () => {
    const [taken, free] = [await occupiedPort(), await freePort()];
    await expect(runningGateway(listeners(free, `, sidecar: { port: ${taken} }`))).rejects.toMatchObject({
      code: 'address_in_use',
      message: expect.stringContaining(String(taken)),
    });
    expect(await isOpen(free)).toBe(false);
    await expect(runningGateway(`listeners: { forward: { port: ${free} }, ops: { port: ${taken} } }`)).rejects.toMatchObject({
      code: 'address_in_use',
    });
    expect(await isOpen(free)).toBe(false);
  });

  test('an address that this machine does not have is another error', async () => {
    await expect(
      runningGateway('listeners: { forward: { host: 192.0.2.1, port: 0 } }\ncallers: { x: { token: a-token-of-a-caller } }'),
    ).rejects.toMatchObject({ code: 'bind_failed' });
  });
});

describe('a reload', () => {
  test('holds for the next request on an open connection, and on an open tunnel', async () => {
    const { gateway, authority } = await secureScene();
    const tunnel = await connectThrough(gateway.forward, authority);
    const client = await secure(tunnel, { ca: gateway.caPem, servername: 'api.test' });
    const get = () => client.request('GET /x HTTP/1.1', [`Host: ${authority}`]);
    expect((await get()).status).toBe(200);
    await gateway.reload('policy: { rules: ["allow other.test"] }');
    expect((await get()).status).toBe(403);
    await gateway.reload('');
    expect((await get()).status).not.toBe(403);
    expect(await gateway.metrics()).toContain('sallyport_config_reloads_total{result="applied"} 2');
  });

  test('changes the credential of the next request, and an exchange under way ends under the old one', async () => {
    const key = (value: string): string =>
      `credentials: { key: { source: { type: static, value: ${value} }, bind: [{ hosts: ["api.test:*"], place: { header: X-Key }, plaintext: true }] } }`;
    let answer = (): void => {};
    const { gateway, upstream, origin, authority } = await plainScene((request, socket) => {
      answer = () => void socket.write(reply(200, 'ok', [`X-Echo: ${request.field('x-key')}`]));
    }, key('first-secret'));
    const client = await rawClient(gateway.forward);
    client.write(`GET ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    await expect.poll(() => upstream.requests.length).toBe(1);
    await gateway.reload(key('second-secret'));
    answer();
    const response = await client.reader.response();
    expect(response.field('X-Echo')).toBe('[secret]');
    upstream.script = echo;
    expect(echoed(await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`])).lines).toContain('X-Key: second-secret');
    expect(upstream.requests.map((request) => [request.field('x-key'), request.connection])).toEqual([
      ['first-secret', 0],
      ['second-secret', 1],
    ]);
  });

  test('that cannot open its ports changes nothing and leaves nothing open', async () => {
    const { gateway, origin, authority } = await plainScene();
    const [taken, free, before] = [await occupiedPort(), await freePort(), gateway.forward];
    const client = await rawClient(gateway.forward);
    await expect(gateway.reload(`${listeners(free, `, sidecar: { port: ${taken} }`)}\npolicy: { rules: [] }`)).rejects.toMatchObject({
      code: 'address_in_use',
    });
    expect(gateway.forward).toBe(before);
    expect(await isOpen(free)).toBe(false);
    expect((await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`])).status).toBe(200);
    expect(gateway.gateway.lastReloadFailure).toContain(String(taken));
    expect(await gateway.metrics()).toContain('sallyport_config_reloads_total{result="rejected"} 1');
  });

  test('moves a listener: new connections there, an exchange under way ends where it is', async () => {
    let answer = (): void => {};
    const { gateway, upstream, origin, authority } = await plainScene((_, socket) => {
      answer = () => void socket.write(reply(200, 'ok'));
    });
    const before = gateway.forward;
    const [idle, busy] = [await rawClient(before), await rawClient(before)];
    busy.write(`GET ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    await expect.poll(() => upstream.requests.length).toBe(1);
    await gateway.reload(listeners(await freePort()));
    expect(gateway.forward).not.toBe(before);
    expect(gateway.sidecar).toBe(0);
    expect(await idle.reader.end()).toBe('end');
    expect(await isOpen(before)).toBe(false);
    answer();
    const response = await busy.reader.response();
    expect(response).toMatchObject({ status: 200, complete: true });
    upstream.script = echo;
    const next = await rawClient(gateway.forward);
    expect((await next.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`])).status).toBe(200);
  });

  test('changes the limit of connections of a listener that stays where it is', async () => {
    const port = await freePort();
    const gateway = await runningGateway(`${listeners(port)}\nlimits: { connections: 2 }`);
    await gateway.reload(`${listeners(port)}\nlimits: { connections: 1 }`);
    const first = await rawClient(port);
    const second = await rawClient(port);
    expect(await second.reader.end()).not.toBe('open');
    expect(first.reader.ended).toBe('open');
  });

  test('of what takes a restart is refused and says what', async () => {
    const gateway = await runningGateway();
    await expect(gateway.reload('authority: { dir: /nowhere }')).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('gateway.authority'),
    });
  });
});

describe('stopping', () => {
  test('lets an exchange under way end, closes what is idle and accepts nobody', async () => {
    let answer = (): void => {};
    const { gateway, upstream, origin, authority } = await plainScene((_, socket) => {
      answer = () => void socket.write(reply(200, 'ok'));
    });
    const port = gateway.forward;
    const [idle, busy] = [await rawClient(port), await rawClient(port)];
    busy.write(`GET ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    await expect.poll(() => upstream.requests.length).toBe(1);
    const stopped = gateway.gateway.stop();
    expect(await idle.reader.end()).toBe('end');
    expect(await isOpen(port)).toBe(false);
    const ready = await fetch(`http://127.0.0.1:${gateway.ops}/_ops/ready`);
    expect(ready.status).toBe(503);
    await ready.text();
    answer();
    const response = await busy.reader.response();
    expect(response).toMatchObject({ status: 200, complete: true });
    await stopped;
    expect(gateway.exchanges).toMatchObject([{ outcome: 'completed' }]);
  });

  test('at once records what it cuts off: requests, tunnels, and handshakes that are under way', async () => {
    const passing = 'policy: { rules: ["allow api.test:* to 127.0.0.1", "passthrough other.test:* to 127.0.0.1"] }';
    const { gateway, upstream, origin, authority } = await plainScene(() => new Promise(() => {}), passing);
    const busy = await rawClient(gateway.forward);
    busy.write(`GET ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    const tunnel = await connectThrough(gateway.forward, `other.test:${upstream.port}`);
    const shaking = await connectThrough(gateway.forward, authority);
    shaking.write(Buffer.of(0x16, 3, 1, 0, 200, 1));
    await expect.poll(() => upstream.requests.length).toBe(1);
    await gateway.gateway.stop(AbortSignal.abort());
    for (const client of [busy, tunnel, shaking]) expect(await client.reader.end()).not.toBe('open');
    expect(await upstream.requests[0]?.reader.end()).not.toBe('open');
    expect(gateway.exchanges.map(({ kind, outcome, error, method }) => [kind, outcome, error, method])).toEqual(
      expect.arrayContaining([
        ['tunnel', 'completed', null, 'CONNECT'],
        ['request', 'aborted', 'client_aborted', 'GET'],
      ]),
    );
    expect(await gateway.log()).toContain('"error":"client_aborted"');
  });

  test('waits no longer than it is allowed to', async () => {
    const { gateway, upstream, origin, authority } = await plainScene(() => new Promise(() => {}), 'shutdown: { drain: 100ms }');
    const client = await rawClient(gateway.forward);
    client.write(`GET ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    await expect.poll(() => upstream.requests.length).toBe(1);
    await gateway.gateway.stop();
    expect(gateway.exchanges).toMatchObject([{ outcome: 'aborted', error: 'client_aborted' }]);
  });

  test('ends WebSockets that are open', async () => {
    const server = createHttpServer().listen(0, '127.0.0.1');
    servers.push(server);
    const sockets = new WebSocketServer({ server });
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const gateway = await runningGateway('shutdown: { drain: 100ms }');
    const client = await rawClient(gateway.forward);
    const lines = [
      `Host: api.test:${port}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ];
    expect((await client.request(`GET http://api.test:${port}/ HTTP/1.1`, lines)).status).toBe(101);
    await gateway.gateway.stop();
    expect(await client.reader.end()).not.toBe('open');
    expect(gateway.exchanges).toMatchObject([{ kind: 'upgrade', status: 101 }]);
    sockets.close();
  });
});

describe('limits of a head', () => {
  test('of its size and of its number of fields are answered 431', async () => {
    const { gateway, origin, authority } = await plainScene(echo, 'limits: { head_size: 1kb, header_count: 10 }');
    for (const lines of [[`X: ${'x'.repeat(2_000)}`], Array.from({ length: 11 }, (_, i) => `X-${i}: y`)]) {
      const client = await rawClient(gateway.forward);
      const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`, ...lines]);
      expect(response.status).toBe(431);
      expect(problem(response).code).toBe('request_head_too_large');
    }
    const client = await rawClient(gateway.forward);
    const most = Array.from({ length: 9 }, (_, i) => `X-${i}: y`);
    expect((await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`, ...most])).status).toBe(200);
    await gateway.recorded(3);
    expect(gateway.exchanges.map(({ outcome, error }) => [outcome, error])).toEqual([
      ['refused', 'request_head_too_large'],
      ['refused', 'request_head_too_large'],
      ['completed', null],
    ]);
  });
});
