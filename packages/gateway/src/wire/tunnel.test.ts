import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RawPeer } from './testing/raw-peer.test.support.js';
import { settled } from './testing/server-port.test.support.js';
import { UpstreamPort } from './testing/upstream-port.test.support.js';
import { Tunnel, type TunnelEnd } from './tunnel.js';

const big = Buffer.alloc(24_000_000, 'through the tunnel ');

interface Opened {
  client: RawPeer;
  upstream: RawPeer;
  clientSocket: Socket;
  upstreamSocket: Socket;
  tunnel: Tunnel;
  ends: TunnelEnd[];
  ended: Promise<void>;
}

let port: UpstreamPort;
let server: Server;
const sockets: Socket[] = [];

beforeEach(async () => {
  port = await UpstreamPort.open();
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await port.close();
  await new Promise((resolve) => server.close(resolve));
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A tunnel that has not been started. */
async function prepare(idle = 0): Promise<Opened> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = await RawPeer.connect((server.address() as { port: number }).port);
  const [clientSocket] = await accepted;
  const { connection, socket: upstreamSocket, peer: upstream } = await port.connect();
  sockets.push(client.socket, clientSocket);
  const ends: TunnelEnd[] = [];
  let tell = (): void => {};
  const ended = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const tunnel = new Tunnel(clientSocket, connection, idle, (end) => {
    ends.push(end);
    tell();
  });
  return { client, upstream, clientSocket, upstreamSocket, tunnel, ends, ended };
}

async function open(idle = 0): Promise<Opened> {
  const opened = await prepare(idle);
  opened.tunnel.start(null, null);
  return opened;
}

describe('bytes both ways', () => {
  test('in order, with those that were read before in front, and counted', async () => {
    const { client, upstream, tunnel, ends, ended } = await prepare();
    tunnel.start(Buffer.from('early '), Buffer.from('hello '));
    await client.send('from the client');
    await upstream.send('from the upstream', [3, 9]);
    expect(await upstream.take('from the client')).toBe('early from the client');
    expect(await client.take('from the upstream')).toBe('hello from the upstream');
    client.end();
    await upstream.untilEnd();
    upstream.end();
    await ended;
    expect(ends).toEqual([{ clientBytes: 21, upstreamBytes: 23, reason: 'closed' }]);
  });

  test('each direction is closed on its own', async () => {
    for (const first of ['client', 'upstream'] as const) {
      const opened = await open();
      const { ends, ended } = opened;
      const [one, other] = first === 'client' ? [opened.client, opened.upstream] : [opened.upstream, opened.client];
      await one.send('last words');
      one.end();
      expect(await other.untilEnd()).toBe('last words');
      expect(other.ended).toBe('end');
      await other.send('still talking');
      expect(await one.take('talking')).toBe('still talking');
      expect(ends).toEqual([]);
      other.end();
      await one.untilEnd();
      await ended;
      expect(ends[0]?.reason).toBe('closed');
    }
  });

  test('a client that had closed its half before the tunnel began', async () => {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const client = await RawPeer.connect((server.address() as { port: number }).port);
    const [socket] = await accepted;
    sockets.push(socket, client.socket);
    client.end();
    socket.resume();
    await once(socket, 'end');
    socket.pause();
    // The tunnel hears of no end any more: it has to see that there was one.
    const { connection, peer } = await port.connect();
    const ended = new Promise<TunnelEnd>((resolve) => {
      new Tunnel(socket, connection, 0, resolve).start(Buffer.from('all I say'), null);
    });
    expect(await peer.untilEnd()).toBe('all I say');
    await peer.send('the answer');
    peer.end();
    expect(await client.untilEnd()).toBe('the answer');
    expect(await ended).toEqual({ clientBytes: 9, upstreamBytes: 10, reason: 'closed' });
  });
});

describe('backpressure', () => {
  test('a client that does not read stops the upstream, and misses nothing', async () => {
    const { client, upstream, clientSocket, upstreamSocket } = await open();
    client.socket.pause();
    void upstream.send(big);
    while (clientSocket.writableLength === 0) await settled();
    await settled();
    expect(clientSocket.writableLength).toBeLessThan(1_000_000);
    expect(upstreamSocket.bytesRead).toBeLessThan(big.length);
    client.socket.resume();
    expect(big.equals(await client.takeBytes(big.length))).toBe(true);
  });

  test('an upstream that does not read stops the client, and misses nothing', async () => {
    const { client, upstream, clientSocket, upstreamSocket } = await open();
    upstream.socket.pause();
    void client.send(big);
    while (upstreamSocket.writableLength === 0) await settled();
    await settled();
    expect(upstreamSocket.writableLength).toBeLessThan(1_000_000);
    expect(clientSocket.isPaused()).toBe(true);
    upstream.socket.resume();
    expect(big.equals(await upstream.takeBytes(big.length))).toBe(true);
  });

  test('both at once, with readers that stop and go', async () => {
    const { client, upstream } = await open();
    for (const { socket } of [client, upstream]) {
      socket.on('data', () => {
        socket.pause();
        setImmediate(() => socket.resume());
      });
    }
    void client.send(big);
    void upstream.send(big);
    const [there, here] = await Promise.all([upstream.takeBytes(big.length), client.takeBytes(big.length)]);
    expect([big.equals(there), big.equals(here)]).toEqual([true, true]);
  });

  test('what was written before both ends closed still arrives', async () => {
    const { client, upstream, ended } = await open();
    client.socket.pause();
    client.end();
    await upstream.untilEnd();
    void upstream.send(big);
    upstream.end();
    await settled();
    client.socket.resume();
    expect(big.equals(await client.takeBytes(big.length))).toBe(true);
    await client.untilEnd();
    expect(client.ended).toBe('end');
    await ended;
  });
});

describe('the end', () => {
  test.each([
    ['client', 'upstream'],
    ['upstream', 'client'],
  ] as const)('when the %s breaks off, the %s is cut off and it is told once', async (breaks, other) => {
    const opened = await open();
    await opened[breaks].send('x');
    await opened[other].until('x');
    opened[breaks].reset();
    await opened.ended;
    await opened[other].untilEnd();
    await settled();
    expect(opened.ends).toHaveLength(1);
    expect(opened.ends[0]?.reason).toBe(breaks);
  });

  test('a tunnel in which nothing moves is closed; one in which something does is not', async () => {
    const MINUTE = 60_000;
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    vi.spyOn(performance, 'now').mockImplementation(() => Date.now());
    const { client, upstream, ends, ended } = await open(5 * MINUTE);
    for (let i = 0; i < 3; i++) {
      vi.advanceTimersByTime(4 * MINUTE);
      await client.send('x');
      await upstream.take('x');
      vi.advanceTimersByTime(4 * MINUTE);
      await upstream.send('y');
      await client.take('y');
    }
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(6 * MINUTE);
    await ended;
    expect(ends).toEqual([{ clientBytes: 3, upstreamBytes: 3, reason: 'idle' }]);
    await client.untilEnd();
    await upstream.untilEnd();
  });

  test('destroy closes both sides', async () => {
    const { client, upstream, tunnel, ends } = await open();
    tunnel.destroy();
    tunnel.destroy();
    await client.untilEnd();
    await upstream.untilEnd();
    expect(ends).toHaveLength(1);
  });
});
