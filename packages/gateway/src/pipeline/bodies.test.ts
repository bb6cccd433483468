import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { connectThrough, type RawClient, rawClient, secure } from '../testing/raw-client.test.support.js';
import { plainScene, type Scene, secureScene, stopEverything } from '../testing/scene.test.support.js';
import { reply, type Script } from '../testing/scripted-upstream.test.support.js';
import { poisonReadBuffers } from '../wire/read-buffers.js';

beforeAll(() => poisonReadBuffers(true));
afterEach(stopEverything);
afterAll(() => poisonReadBuffers(false));

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The bytes as a chunked body whose chunks have sizes from 1 byte to 100 kB. */
function chunked(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, step = 1; at < bytes.length; step = (step * 7) % 100_003) {
    const chunk = bytes.subarray(at, at + step);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
    at += chunk.length;
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

/** Waits for the socket between writes, as a well-behaved program does. */
async function writeAll(socket: Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += 65_521) {
    if (!socket.write(bytes.subarray(at, at + 65_521))) await drained(socket);
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

/** Answers with the body that came, framed as the target says. */
const mirror: Script = async (request, socket) => {
  const { body } = await request.body();
  const framing = request.target.slice(1);
  if (framing === 'length') socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
  else if (framing === 'chunked') socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
  else socket.write('HTTP/1.1 200 OK\r\n\r\n');
  await writeAll(socket, framing === 'chunked' ? chunked(body) : body);
  if (framing === 'close') socket.end();
};

const sizes = [0, 1, 4095, 4096, 8192, 8193, 65_536, 262_144, 262_145, 1_000_003, 5_000_000];

async function roundTrips(client: RawClient, prefix: string, authority: string): Promise<void> {
  for (const size of sizes) {
    for (const [out, back] of [
      ['length', 'chunked'],
      ['chunked', 'length'],
    ] as const) {
      const sent = randomBytes(size);
      const body = out === 'length' ? sent : chunked(sent);
      const framing = out === 'length' ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked';
      client.write(`POST ${prefix}/${back} HTTP/1.1\r\nHost: ${authority}\r\n${framing}\r\n\r\n`);
      const [response] = await Promise.all([client.reader.response(), writeAll(client.socket, body)]);
      expect(response).toMatchObject({ status: 200, complete: true });
      expect(sha256(response.body), `${size} bytes, ${out} out, ${back} back`).toBe(sha256(sent));
    }
  }
}

describe('bodies of every size arrive byte for byte, both ways and in both framings', () => {
  test('on plain connections', async () => {
    const { gateway, origin, authority } = await plainScene(mirror);
    await roundTrips(await rawClient(gateway.forward), origin, authority);
    const record = await gateway.recorded(2 * sizes.length);
    expect(record).toMatchObject({ outcome: 'completed' });
    expect(gateway.exchanges.at(-2)).toMatchObject({ requestBytes: 5_000_000 });
    expect(gateway.exchanges.at(-1)).toMatchObject({ responseBytes: 5_000_000 });
  });

  test('with TLS on both sides of an intercepted connection', async () => {
    const { gateway, authority } = await secureScene(mirror);
    const client = await secure(await connectThrough(gateway.forward, authority), { ca: gateway.caPem, servername: 'api.test' });
    await roundTrips(client, '', authority);
    expect((await gateway.recorded(2 * sizes.length)).outcome).toBe('completed');
  });

  test('to clients that are slow to read', async () => {
    const { gateway, origin, authority } = await plainScene(mirror);
    const client = await rawClient(gateway.forward);
    const sent = randomBytes(3_000_000);
    client.write(`POST ${origin}/length HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: ${sent.length}\r\n\r\n`);
    client.socket.on('data', () => {
      client.socket.pause();
      setTimeout(() => client.socket.resume(), 1);
    });
    const [response] = await Promise.all([client.reader.response(), writeAll(client.socket, sent)]);
    expect(sha256(response.body)).toBe(sha256(sent));
  });

  test('when they end with the connection, to HTTP/1.1 and HTTP/1.0 clients', async () => {
    const { gateway, origin, authority } = await plainScene(mirror);
    for (const version of ['1.1', '1.0']) {
      for (const framing of ['close', 'chunked', 'length']) {
        const client = await rawClient(gateway.forward);
        const sent = randomBytes(300_000);
        client.write(`POST ${origin}/${framing} HTTP/${version}\r\nHost: ${authority}\r\nContent-Length: ${sent.length}\r\n\r\n`);
        const [response] = await Promise.all([client.reader.response(), writeAll(client.socket, sent)]);
        expect(response.complete).toBe(true);
        expect(sha256(response.body), `${framing} to ${version}`).toBe(sha256(sent));
        if (version === '1.0') expect(response.field('Transfer-Encoding')).toBeUndefined();
      }
    }
  });
});

describe('nobody is made to hold what another does not take', () => {
  /** Writes until the other side takes no more, and answers how much that was. */
  async function writeUntilStuck(socket: Socket, total: number): Promise<number> {
    const block = Buffer.alloc(65_536, 'x');
    let written = 0;
    while (written < total) {
      written += block.length;
      if (socket.write(block)) continue;
      const wentOn = await Promise.race([drained(socket).then(() => true), new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 500))]);
      if (!wentOn) return written;
    }
    return written;
  }
  // The kernel alone holds some megabytes for each of the two connections.
  const MUCH = 200_000_000;
  const BOUND = 40_000_000;

  test('a client that does not read stops the upstream', async () => {
    let stuckAt = Number.NaN;
    const scene = await plainScene(async (_, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${MUCH}\r\n\r\n`);
      stuckAt = await writeUntilStuck(socket, MUCH);
    });
    const client = await rawClient(scene.gateway.forward);
    client.socket.pause();
    client.write(`GET ${scene.origin}/ HTTP/1.1\r\nHost: ${scene.authority}\r\n\r\n`);
    await expect.poll(() => stuckAt, { timeout: 20_000 }).toBeLessThan(BOUND);
  });

  test('an upstream that does not read stops the client', async () => {
    const scene: Scene = await plainScene(async (request, socket) => {
      socket.pause();
      await request.reader.end();
    });
    const client = await rawClient(scene.gateway.forward);
    client.write(`POST ${scene.origin}/ HTTP/1.1\r\nHost: ${scene.authority}\r\nContent-Length: ${MUCH}\r\n\r\n`);
    expect(await writeUntilStuck(client.socket, MUCH)).toBeLessThan(BOUND);
  });
});

test('each event of a stream arrives while the next one has not been sent', async () => {
  let next: (() => void) | null = null;
  const { gateway, origin, authority } = await plainScene(async (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 5; i++) {
      socket.write(`9\r\ndata: ${i}\n\n\r\n`);
      await new Promise<void>((resolve) => (next = resolve));
    }
    socket.write('0\r\n\r\n');
  });
  const client = await rawClient(gateway.forward);
  client.write(`GET ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  await client.reader.head();
  for (let i = 0; i < 5; i++) {
    expect((await client.reader.until('\n\n\r\n'))?.toString()).toBe(`9\r\ndata: ${i}\n\n\r\n`);
    (next as unknown as () => void)();
  }
  expect((await client.reader.until('\r\n\r\n'))?.toString()).toBe('0\r\n\r\n');
});

test.each(['gzip', 'br', 'something'])('content that is encoded (%s) is passed on as it is', async (coding) => {
  const body = randomBytes(20_000);
  const { gateway, origin, authority } = await plainScene((_, socket) => {
    socket.write(reply(200, '', [`Content-Encoding: ${coding}`]).replace('Content-Length: 0', `Content-Length: ${body.length}`));
    socket.write(body);
  });
  const client = await rawClient(gateway.forward);
  const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`]);
  expect(response.field('Content-Encoding')).toBe(coding);
  expect(response.body.equals(body)).toBe(true);
});

test('redirects and challenges are handed on, never followed', async () => {
  const { gateway, upstream, origin, authority } = await plainScene((request, socket) => {
    socket.write(request.target === '/r' ? reply(307, 'go', [`Location: ${origin}/elsewhere`]) : reply(401, 'who?', ['WWW-Authenticate: Bearer']));
  });
  const client = await rawClient(gateway.forward);
  expect((await client.request(`GET ${origin}/r HTTP/1.1`, [`Host: ${authority}`])).field('Location')).toBe(`${origin}/elsewhere`);
  expect((await client.request(`GET ${origin}/c HTTP/1.1`, [`Host: ${authority}`])).field('WWW-Authenticate')).toBe('Bearer');
  expect(upstream.requests).toHaveLength(2);
});
