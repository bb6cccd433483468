import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type TestAuthority, testAuthority } from '../testing/test-authority.test.support.js';
import { allowDirectReads } from './direct-reads.js';
import type { RawPeer } from './testing/raw-peer.test.support.js';
import { Relay } from './testing/relay.test.support.js';
import { get, ServerPort, settled } from './testing/server-port.test.support.js';
import { type UpstreamPair, UpstreamPort } from './testing/upstream-port.test.support.js';

// Both sides of the wire together, with poisoned read buffers: a byte that is read too late is a wrong byte.

let authority: TestAuthority;
let front: ServerPort;
let back: UpstreamPort;

beforeAll(async () => {
  authority = await testAuthority();
});
afterEach(async () => {
  allowDirectReads(true);
  await front.close();
  await back.close();
});
afterAll(() => authority.remove());

interface Scene {
  client: RawPeer;
  upstream: UpstreamPair;
  relays: Relay[];
  /** Resolves when so many exchanges are over. */
  over(count: number): Promise<void>;
}

async function scene({ tlsClient = false, tlsUpstream = false, contentOnly = false, direct = true } = {}): Promise<Scene> {
  allowDirectReads(direct);
  const tls = { server: authority.serverFor('localhost'), client: { ca: authority.authority.certificatePem, servername: 'localhost' } };
  back = await UpstreamPort.open(tlsUpstream ? tls : null);
  const upstream = await back.connect();
  const relays: Relay[] = [];
  let finished = 0;
  const waiting: Array<() => void> = [];
  front = await ServerPort.open(
    ({ connection }) => {
      const over = (): void => {
        finished++;
        for (const resolve of waiting.splice(0)) resolve();
      };
      relays.push(new Relay(connection, upstream.connection, contentOnly, over));
    },
    tlsClient ? { tls } : {},
  );
  const over = async (count: number): Promise<void> => {
    while (finished < count) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { client: await front.connect(), upstream, relays, over };
}

/** Bytes of which every stretch is different, so that a piece in the wrong place shows. */
function bodyOf(size: number): Buffer {
  const body = Buffer.allocUnsafe(size);
  for (let i = 0; i + 4 <= size; i += 4) body.writeUInt32LE(Math.imul(i, 0x9e3779b1) >>> 0, i);
  return body.fill(0x2e, size - (size % 4));
}

/** Reads for a moment, then leaves the rest to wait, over and over. */
function readSlowly({ socket }: RawPeer): void {
  socket.on('data', () => {
    socket.pause();
    setImmediate(() => setImmediate(() => socket.resume()));
  });
}

describe.each([
  { tlsClient: false, tlsUpstream: false, direct: true },
  { tlsClient: false, tlsUpstream: true, direct: true },
  { tlsClient: true, tlsUpstream: false, direct: true },
  { tlsClient: true, tlsUpstream: true, direct: true },
  { tlsClient: false, tlsUpstream: false, direct: false },
  { tlsClient: true, tlsUpstream: true, direct: false },
])('with TLS $tlsClient to the client and $tlsUpstream to the upstream, direct reads $direct', (transports) => {
  test('a large answer reaches a slow client whole, and little of it waits in between', async () => {
    const { client, upstream, relays, over } = await scene(transports);
    const body = bodyOf(24_000_000);
    readSlowly(client);
    await client.send(get('/large'));
    await upstream.peer.take('\r\n\r\n');
    void upstream.peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    void upstream.peer.send(body);
    await client.take('\r\n\r\n');
    expect(body.equals(await client.takeBytes(body.length))).toBe(true);
    await over(1);
    expect(relays[0]).toMatchObject({ ended: true, gone: null });
    expect(relays[0]?.mostWaiting).toBeLessThan(1_000_000);
  });

  test('a client that does not read at all stops the upstream', async () => {
    const { client, upstream, relays } = await scene(transports);
    client.socket.pause();
    await client.send(get('/large'));
    await upstream.peer.take('\r\n\r\n');
    const body = bodyOf(48_000_000);
    void upstream.peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    void upstream.peer.send(body);
    while (front.latest.socket.writableLength === 0) await settled();
    await settled();
    const read = upstream.socket.bytesRead;
    await settled();
    expect(upstream.socket.bytesRead).toBe(read);
    expect(read).toBeLessThan(body.length);
    expect(relays[0]?.mostWaiting).toBeLessThan(1_000_000);
    client.socket.resume();
    await client.take('\r\n\r\n');
    expect(body.equals(await client.takeBytes(body.length))).toBe(true);
  });

  test('a large request reaches a slow upstream whole', async () => {
    const { client, upstream, over } = await scene(transports);
    const body = bodyOf(24_000_000);
    readSlowly(upstream.peer);
    void client.send(`POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n`);
    void client.send(body);
    await upstream.peer.take('\r\n\r\n');
    expect(body.equals(await upstream.peer.takeBytes(body.length))).toBe(true);
    await upstream.peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    expect(await client.takeMessage()).toMatch(/ok$/);
    await over(1);
    expect(front.latest.idle).toBe(true);
  });

  test('answers of every size that is close to a border, one after another on the same connections', async () => {
    const { client, upstream } = await scene(transports);
    const borders = [1, 4096, 8192, 16_384, 65_536, 262_144, 524_288];
    for (const size of borders.flatMap((border) => [border - 1, border, border + 1, border - 40])) {
      if (size < 0) continue;
      const body = bodyOf(size);
      await client.send(get(`/${size}`));
      await upstream.peer.take('\r\n\r\n');
      void upstream.peer.send(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`), body]));
      await client.take('\r\n\r\n');
      expect(body.equals(await client.takeBytes(size)), `${size} bytes`).toBe(true);
    }
    expect(upstream.connection.reusable).toBe(true);
  });

  test.each([true, false])('chunked answers to a slow client, content only: %s', async (contentOnly) => {
    const { client, upstream, over } = await scene({ ...transports, contentOnly });
    readSlowly(client);
    const content = bodyOf(8_000_000);
    const chunks: Buffer[] = [];
    for (let at = 0, size = 1; at < content.length; at += size, size = (size * 7 + 3) % 100_000) {
      const piece = content.subarray(at, at + (size || 1));
      chunks.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
      size ||= 1;
    }
    const framed = Buffer.concat([...chunks, Buffer.from('0\r\nX-Sum: 1\r\n\r\n')]);
    await client.send(get('/chunks'));
    await upstream.peer.take('\r\n\r\n');
    void upstream.peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    void upstream.peer.send(framed);
    await client.take('\r\n\r\n');
    const expected = contentOnly ? content : framed;
    expect(expected.equals(await client.takeBytes(expected.length))).toBe(true);
    await over(1);
    expect(client.received).toBe('');
  });
});

describe('as a stream', () => {
  test('the first byte, and every one after it, is written to the client in the tick in which it arrives', async () => {
    const { client, upstream } = await scene();
    await client.send(get('/events'));
    await upstream.peer.take('\r\n\r\n');
    const { onread } = upstream.connection;
    const { socket } = front.latest;
    for (const piece of ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '7\r\nda', 'ta: 1\r\n', '1\r\n\n\r\n']) {
      const before = socket.bytesWritten;
      const buffer = onread.buffer();
      onread.callback(buffer.write(piece, 'latin1'), buffer);
      expect(socket.bytesWritten).toBe(before + piece.length);
    }
    expect(await client.until('data: 1')).toContain('200 OK');
  });

  test('and so is the first byte of a request body to the upstream', async () => {
    const { client, upstream } = await scene();
    await client.send('POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n');
    await upstream.peer.take('\r\n\r\n');
    const before = upstream.socket.bytesWritten;
    front.latest.socket.emit('data', Buffer.from('x'));
    expect(upstream.socket.bytesWritten - before).toBe(1);
  });
});

describe('the unusual', () => {
  test('an answer that comes before the request body is taken arrives whole, and the connection closes', async () => {
    const { client, upstream, over } = await scene();
    upstream.peer.socket.pause();
    const body = bodyOf(48_000_000);
    void client.send(`POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n`);
    void client.send(body);
    while (!front.connections[0]?.socket.isPaused()) await settled();
    await upstream.peer.send('HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nstop');
    await over(1);
    expect(await client.take('stop')).toMatch(/^HTTP\/1\.1 413/);
    expect(upstream.connection.reusable).toBe(false);
    await client.untilEnd();
    await front.when(() => front.closed === 1);
  });

  test('an answer that is cut short breaks the connection of the client, however the body would have ended', async () => {
    for (const lines of ['Content-Length: 50\r\n', 'Transfer-Encoding: chunked\r\n']) {
      const { client, upstream } = await scene();
      await client.send(get('/a'));
      await upstream.peer.take('\r\n\r\n');
      await upstream.peer.send(`HTTP/1.1 200 OK\r\n${lines}\r\n5\r\nhello\r\n`);
      await client.until('hello');
      upstream.peer.destroy();
      await client.untilEnd();
      expect(client.ended).toBe('reset');
      await front.close();
      await back.close();
    }
  });

  test('interim answers, HEAD, 204 and 304 on one connection', async () => {
    const { client, upstream } = await scene();
    const answers: Array<[string, string]> = [
      ['GET', 'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'],
      ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n'],
      ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n'],
      ['GET', 'HTTP/1.1 200 \xe9t\xe9\r\nX: \xff\x80\r\nContent-Length: 0\r\n\r\n'],
    ];
    for (const [method, answer] of answers) {
      await client.send(get('/a').replace('GET', method));
      await upstream.peer.take('\r\n\r\n');
      await upstream.peer.send(answer);
      expect((await client.takeBytes(answer.length)).toString('latin1')).toBe(answer);
    }
    await settled();
    expect([client.received, upstream.connection.reusable, front.latest.idle]).toEqual(['', true, true]);
  });

  test('a client that vanishes takes its exchange with it', async () => {
    const { client, upstream, relays, over } = await scene();
    await client.send(get('/a'));
    await upstream.peer.take('\r\n\r\n');
    client.reset();
    await over(1);
    expect(relays[0]?.gone).toBe('client_aborted');
    await upstream.peer.untilEnd();
  });
});
