import { once } from 'node:events';
import type { Plugin } from '@sallyport/sdk';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RawClient, rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { echo, type Script } from '../testing/scripted-upstream.test.support.js';
import { poisonReadBuffers } from '../wire/read-buffers.js';

beforeEach(() => poisonReadBuffers(true));
afterEach(async () => {
  poisonReadBuffers(false);
  await stopEverything();
});

const replacing: Plugin = {
  getCredentials(_context, request) {
    request.body.replace('other');
    return null;
  },
};

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: api.test\r\n\r\n';

let scene: Scene;
let client: RawClient;

async function connected(plugin: Plugin, script: Script = echo, sections = ''): Promise<void> {
  scene = await plainScene(script, sections, {}, { plugin });
  client = await rawClient(scene.gateway.sidecar);
}

const head = (method: string, ...lines: string[]): string =>
  `${[`${method} /proxy HTTP/1.1`, 'Host: s', `X-Connect-Target-URL: ${scene.origin}/`, ...lines].join('\r\n')}\r\n\r\n`;

test.each<[string, string, string]>([
  ['a length', `Content-Length: ${smuggled.length}`, smuggled],
  ['chunks', 'Transfer-Encoding: chunked', `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\nX-Trailer: t\r\n\r\n`],
])('a body with %s that a plugin replaced without reading it goes nowhere', async (_what, framing, body) => {
  await connected(replacing);
  for (const late of [false, true]) {
    const asked = client.write(head('POST', framing) + (late ? '' : body)).reader.response('POST');
    if (late) {
      await once(client.socket, 'data');
      client.write(body);
    }
    const response = await asked;
    expect(echoed(response)).toMatchObject({ method: 'POST', length: 5, trailers: [] });
  }
  expect(scene.upstream.requests.map(({ method }) => method)).toEqual(['POST', 'POST']);
});

test('a client that waits to be asked for a body that a plugin replaced is not asked', async () => {
  await connected(replacing);
  const response = await client.write(head('POST', 'Expect: 100-continue', 'Content-Length: 3')).reader.response('POST');
  expect(response.interim).toEqual([]);
  expect(echoed(response).length).toBe(5);
  expect(echoed(response).lines.join()).not.toMatch(/expect/i);
  expect(response.field('connection')).toBe('close');
});

test('a request without a body keeps its framing when a plugin looks for one', async () => {
  await connected({
    async getCredentials(_context, request) {
      request.headers.set('X-Size', String((await request.body.bytes()).length));
      return null;
    },
  });
  const response = await client.write(head('GET')).reader.response();
  expect(echoed(response).lines.filter((line) => /^(x-size|content-length)/i.test(line))).toEqual([expect.stringMatching(/^x-size: 0$/i)]);
});
