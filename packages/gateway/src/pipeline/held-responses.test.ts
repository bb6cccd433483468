import { EventEmitter, once } from 'node:events';
import type { MutableResponse, Plugin } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RawClient, rawClient } from '../testing/raw-client.test.support.js';
import { plainScene, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { reply, type Script } from '../testing/scripted-upstream.test.support.js';
import { poisonReadBuffers } from '../wire/read-buffers.js';

beforeEach(() => poisonReadBuffers(true));
afterEach(async () => {
  poisonReadBuffers(false);
  await stopEverything();
});

let scene: Scene;
let client: RawClient;

async function connected(plugin: Plugin, script: Script, sections = ''): Promise<void> {
  scene = await plainScene(script, sections, {}, { plugin });
  client = await rawClient(scene.gateway.sidecar);
}

const head = (method: string, ...lines: string[]): string =>
  `${[`${method} /proxy HTTP/1.1`, 'Host: s', `X-Connect-Target-URL: ${scene.origin}/`, ...lines].join('\r\n')}\r\n\r\n`;

/** A plugin whose `modifyResponse` does not go on before `release` is called. */
function gated(change: (response: MutableResponse) => void | Promise<void> = () => {}) {
  const events = new EventEmitter();
  const released = once(events, 'release');
  const called = once(events, 'called');
  const plugin: Plugin = {
    async modifyResponse(_context, response) {
      events.emit('called');
      await released;
      await change(response);
      return null;
    },
  };
  return { plugin, called, release: () => events.emit('release') };
}

const script =
  (bytes: string): Script =>
  async (request, socket) => {
    await request.body();
    socket.write(bytes, 'latin1');
  };

describe('an answer that does not wait for its request', () => {
  const early: Script = async (request, socket) => {
    if (request.method === 'POST') socket.write(reply(200, 'early'));
    await request.body();
    if (request.method !== 'POST') socket.write(reply(200, 'next'));
  };

  test('is kept whole while the request goes on, and the connection serves the next one', async () => {
    const { plugin, called, release } = gated();
    await connected(plugin, early);
    client.write(head('POST', 'Content-Length: 8')).write('half');
    await called;
    client.write('half').write(head('GET'));
    await scene.gateway.metrics();
    release();
    expect((await client.reader.response('POST')).body.toString()).toBe('early');
    expect((await client.reader.response()).body.toString()).toBe('next');
    expect(scene.gateway.exchanges).toMatchObject([{ outcome: 'completed', requestBytes: 8 }, { outcome: 'completed' }]);
  });
});

describe('a body that a plugin replaced', () => {
  const replacing: Plugin = {
    modifyResponse(_context, response) {
      response.body.replace('whole');
      return null;
    },
  };

  test('is a whole one, where the upstream sent a part', async () => {
    await connected(replacing, script('HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3\r\n\r\nabc'));
    const response = await client.write(head('GET')).reader.response();
    expect([response.status, response.field('content-range'), response.body.toString()]).toEqual([200, undefined, 'whole']);
  });

  test('stands in for one that lasts until the connection ends, for HTTP/1.0 as well', async () => {
    await connected(replacing, script('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'));
    client.write(head('GET').replace('HTTP/1.1', 'HTTP/1.0').replace('\r\n\r\n', '\r\nConnection: keep-alive\r\n\r\n'));
    const response = await client.reader.response();
    expect([response.field('content-length'), response.field('connection'), response.body.toString()]).toEqual(['5', 'keep-alive', 'whole']);
    scene.upstream.script = (_request, socket) => void socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end');
    expect((await client.write(head('GET')).reader.response()).body.toString()).toBe('whole');
  });
});

describe('a response that a plugin only read', () => {
  const reading: Plugin = { modifyResponse: (_context, response) => response.body.bytes().then(() => null) };

  test.each(['200 OK', '304 Not Modified'])('keeps the length that it announced with %s and has no body', async (line) => {
    await connected(reading, script(`HTTP/1.1 ${line}\r\nContent-Length: 1234\r\n\r\n`));
    for (let i = 0; i < 2; i++) {
      const { status, lines } = await client.write(head('HEAD')).reader.response('HEAD');
      expect([status, lines.filter((one) => /^content-length/i.test(one))]).toEqual([Number(line.slice(0, 3)), ['Content-Length: 1234']]);
    }
    expect(scene.upstream.sockets).toHaveLength(1);
  });
});

describe('while a plugin looks at it', () => {
  test.each([
    ['until the end', 'HTTP/1.1 200 OK\r\n\r\npart', 'end', true, 'completed'],
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n', 'end', false, 'failed'],
    ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart', 'end', false, 'failed'],
    ['until the end', 'HTTP/1.1 200 OK\r\n\r\npart', 'reset', false, 'failed'],
  ] as const)('a body %s (%j) whose connection ends by %s is whole: %s', async (_kind, bytes, how, complete, outcome) => {
    const { plugin, called, release } = gated();
    await connected(plugin, script(bytes));
    client.write(head('GET'));
    await called;
    const [upstream] = scene.upstream.sockets;
    if (how === 'end') upstream?.end();
    else upstream?.resetAndDestroy();
    await scene.gateway.metrics();
    release();
    const response = await client.reader.response().catch(() => ({ complete: false, body: 'part' }));
    expect([response.complete, response.body.toString()]).toEqual([complete, 'part']);
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome });
  });

  test('a client that leaves takes its upstream along', async () => {
    const { plugin, called } = gated();
    await connected(plugin, script('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart'));
    client.write(head('GET'));
    await called;
    const ended = scene.upstream.requests[0]?.reader.end();
    client.reset();
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'aborted', error: 'client_aborted', status: 0 });
    await ended;
  });

  test('the total time runs, and what comes too late is not said', async () => {
    const { plugin, release } = gated();
    await connected(plugin, script(reply(200, 'late')), 'timeouts: { total: 300ms }');
    const response = await client.write(head('GET')).reader.response();
    expect([response.status, response.field('x-sallyport-error')]).toEqual([504, 'total_timeout']);
    release();
    const next = await client.write(head('GET')).reader.response();
    expect([next.status, next.body.toString()]).toEqual([200, 'late']);
  });

  test('a megabyte that nobody takes waits, whole and in order', async () => {
    const large = Buffer.alloc(3_000_000, 'abcdefghijk');
    const { plugin, called, release } = gated();
    await connected(plugin, async (request, socket) => {
      await request.body();
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`);
      socket.write(large);
    });
    client.socket.pause();
    client.write(head('GET')).write(head('GET'));
    await called;
    release();
    await scene.gateway.metrics();
    client.socket.resume();
    for (let i = 0; i < 2; i++) expect((await client.reader.response()).body.equals(large)).toBe(true);
  });

  test('pipelined requests wait, each for its own', async () => {
    const seen: string[] = [];
    await connected(
      {
        async modifyResponse(context, response) {
          seen.push(context.vendorId);
          response.headers.set('X-Of', context.vendorId);
          response.body.replace(Buffer.concat([await response.body.bytes(), Buffer.from(context.vendorId)]));
          return null;
        },
      },
      async (request, socket) => {
        const { body } = await request.body();
        socket.write(reply(200, `${body.toString()}-`));
      },
    );
    const vendors = Array.from({ length: 20 }, (_, i) => `v${i}`);
    client.write(vendors.map((vendor) => `${head('POST', `X-Connect-Vendor-ID: ${vendor}`, `Content-Length: ${vendor.length}`)}${vendor}`).join(''));
    for (const vendor of vendors) {
      const response = await client.reader.response('POST');
      expect([response.field('x-of'), response.body.toString()]).toEqual([vendor, `${vendor}-${vendor}`]);
    }
    expect(seen).toEqual(vendors);
  });
});
