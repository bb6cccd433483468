import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { connectThrough, rawClient, secure } from '../testing/raw-client.test.support.js';
import { type RunningGateway, runningGateway } from '../testing/running-gateway.test.support.js';
import { echoed, plainScene, problem, stopEverything, upstreamAuthority } from '../testing/scene.test.support.js';
import { echo, reply } from '../testing/scripted-upstream.test.support.js';

const closing: (() => void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) close();
  await stopEverything();
});

const credentials = `
credentials:
  key: { source: { type: static, value: the-secret-value }, bind: [{ hosts: ["api.test:*"], place: { header: X-Key }, plaintext: true }] }`;

/** A WebSocket server that answers every message with itself, and tells with which key it was opened. */
async function echoServer(): Promise<number> {
  const trusted = await upstreamAuthority();
  const server = createServer(trusted.serverFor('api.test'));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, request) => {
    socket.send(String(request.headers['x-key']));
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function trustingGateway(sections: string): Promise<RunningGateway> {
  return runningGateway(sections, { CA: (await upstreamAuthority()).path });
}

describe('a WebSocket', () => {
  test('passes on an intercepted connection, with the credential in its handshake', async () => {
    const port = await echoServer();
    const gateway = await trustingGateway(credentials);
    const tunnel = await connectThrough(gateway.forward, `api.test:${port}`);
    const { socket } = await secure(tunnel, { ca: gateway.caPem, servername: 'api.test' });
    socket.removeAllListeners('data');
    const webSocket = new WebSocket(`ws://api.test:${port}/chat`, { createConnection: () => socket });
    const [greeting] = (await once(webSocket, 'message')) as [Buffer];
    expect(greeting.toString()).toBe('the-secret-value');
    const large = Buffer.alloc(700_000, 'x');
    webSocket.send(large);
    const [back] = (await once(webSocket, 'message')) as [Buffer];
    expect(back.equals(large)).toBe(true);
    webSocket.close(1000);
    await once(webSocket, 'close');
    const record = await gateway.recorded(1);
    expect(record).toMatchObject({ kind: 'upgrade', status: 101, outcome: 'completed', credential: 'key', path: '/chat' });
    expect(record.requestBytes).toBeGreaterThan(large.length);
    expect(record.responseBytes).toBeGreaterThan(large.length);
  });

  test('passes by an absolute-form request, and bytes that follow the 101 at once are not lost', async () => {
    const { gateway, upstream, origin, authority } = await plainScene((_, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Key: the-secret-value\r\n\r\nfirst frame');
    }, credentials);
    const client = await rawClient(gateway.forward);
    client.write(
      `GET ${origin}/chat HTTP/1.1\r\nHost: ${authority}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n\r\nclient first`,
    );
    const response = await client.reader.response();
    expect(response).toMatchObject({ status: 101 });
    expect(response.all('Connection')).toEqual(['Upgrade']);
    expect(response.field('X-Key')).toBeUndefined();
    expect((await client.reader.bytes(11)).toString()).toBe('first frame');
    const [request] = upstream.requests;
    expect(request?.lines).toEqual(
      expect.arrayContaining(['Sec-WebSocket-Key: x', 'X-Key: the-secret-value', 'Connection: Upgrade', 'Upgrade: websocket']),
    );
    expect((await request?.reader.bytes(12))?.toString()).toBe('client first');
    client.socket.end();
    upstream.sockets[0]?.end();
    expect(await gateway.recorded(1)).toMatchObject({ kind: 'upgrade', requestBytes: 12, responseBytes: 11, outcome: 'completed' });
  });

  test('counts against the limit of tunnels before the upstream hears of it', async () => {
    const { gateway, upstream, origin, authority } = await plainScene(echo, 'limits: { tunnels: 0 }');
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`, 'Connection: Upgrade', 'Upgrade: websocket']);
    expect(problem(response)).toMatchObject({ code: 'limit_exceeded', status: 503 });
    expect(upstream.sockets).toHaveLength(0);
  });

  test('that the upstream does not want is an ordinary answer', async () => {
    const { gateway, origin, authority } = await plainScene((_, socket) => void socket.write(reply(426, 'no')));
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`, 'Connection: Upgrade', 'Upgrade: websocket']);
    expect(response).toMatchObject({ status: 426, complete: true });
    expect(await gateway.recorded(1)).toMatchObject({ kind: 'request', status: 426, outcome: 'completed' });
    expect((await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`])).status).toBe(426);
  });
});

describe('another upgrade', () => {
  test('is not passed on', async () => {
    const { gateway, origin, authority } = await plainScene();
    const client = await rawClient(gateway.forward);
    const lines = [`Host: ${authority}`, 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'];
    const response = await client.request(`GET ${origin}/ HTTP/1.1`, lines);
    expect(echoed(response).lines).toEqual([`Host: ${authority}`, expect.stringMatching(/^X-Request-Id: /)]);
  });

  test.each([
    ['nobody asked for', [] as string[], 'websocket'],
    ['is to another protocol than the one asked for', ['Connection: Upgrade', 'Upgrade: websocket'], 'h2c'],
  ])('that %s is a fault of the upstream', async (_, lines, protocol) => {
    const { gateway, origin, authority } = await plainScene((_request, socket) => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    });
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`, ...lines]);
    expect(problem(response)).toMatchObject({ code: 'upstream_response_malformed', status: 502 });
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', status: 502, upstreamStatus: 101 });
  });
});
