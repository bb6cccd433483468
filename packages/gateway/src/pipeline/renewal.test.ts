import type { Socket } from 'node:net';
import type { Credential, Plugin } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RawClient, rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply, type Script } from '../testing/scripted-upstream.test.support.js';
import { poisonReadBuffers } from '../wire/read-buffers.js';

beforeEach(() => poisonReadBuffers(true));
afterEach(async () => {
  poisonReadBuffers(false);
  await stopEverything();
});

const credential = (headers: Record<string, string>): Credential => ({ headers, expiresAt: Date.now() + 3_600_000 });
const bearer = (token: string): Credential => credential({ Authorization: `Bearer ${token}` });

let scene: Scene;
let client: RawClient;

async function connected(plugin: Plugin, script: Script, sections = ''): Promise<void> {
  scene = await plainScene(script, sections, {}, { plugin });
  client = await rawClient(scene.gateway.sidecar);
}

const head = (path: string, ...lines: string[]): string =>
  `${['GET /proxy HTTP/1.1', 'Host: s', `X-Connect-Target-URL: ${scene.origin}${path}`, ...lines].join('\r\n')}\r\n\r\n`;

const ask = (...lines: string[]) => client.write(head('/', ...lines)).reader.response();

/** Refuses whatever does not carry the line, once the first request has been let in. */
const only =
  (line: string, accepted: Script = echo, refused = reply(401, 'out')): Script =>
  async (request, socket) => {
    await request.body();
    if (scene.upstream.requests.length === 1) socket.write(reply(200, 'first'));
    else if (request.lines.includes(line)) await accepted(request, socket);
    else socket.write(refused);
  };

test('the new credential has other fields: those of the client give way, and neither set comes back', async () => {
  const answers = [credential({ 'X-Old': 'old-secret' }), credential({ 'X-New': 'new-secret' })];
  await connected(
    { getCredentials: () => answers.shift() ?? null },
    only('X-New: new-secret', async (request, socket) => {
      const lines = ['X-Old: rotated', 'X-New: rotated', 'Location: /?a=old-secret&b=new-secret', 'X-Kept: k'];
      socket.write(reply(200, JSON.stringify({ lines: request.lines }), lines));
    }),
  );
  await ask();
  const response = await ask('X-Old: of-the-client', 'X-New: of-the-client', 'X-Other: o');
  const isOurs = (line: string): boolean => /^(x-|location)/i.test(line);
  expect(echoed(response).lines.filter((line) => isOurs(line))).toEqual(['X-Other: o', 'X-New: new-secret']);
  expect(response.lines.filter((line) => isOurs(line)).sort()).toEqual(['Location: /?a=[secret]&b=[secret]', 'X-Kept: k']);
  const last = scene.gateway.exchanges[1];
  expect(last?.injectedHeaders).toEqual(['x-old', 'x-new']);
  expect(last?.secrets.map((secret) => secret.reveal())).toEqual(['old-secret', 'new-secret']);
});

test('a plugin that reads the body again leaves the client attached: a large refusal arrives whole', async () => {
  const large = 'x'.repeat(2_000_000);
  await connected(
    {
      async getCredentials(_context, request) {
        await request.body.bytes();
        return bearer('same');
      },
    },
    only('never', echo, reply(401, large)),
    'listeners: { forward: { port: 0 }, sidecar: { port: 0, insecure_targets: true, normalize_errors: false }, ops: { port: 0 } }',
  );
  await ask();
  client.socket.pause();
  client.write(head('/'));
  await scene.gateway.metrics();
  client.socket.resume();
  expect((await client.reader.response()).body.toString()).toBe(large);
});

test('of many requests that are refused at once the first has the credential renewed, and all go out with it', async () => {
  let token = 0;
  const refused: Socket[] = [];
  await connected({ getCredentials: () => bearer(`token-${++token}`) }, async (request, socket) => {
    await request.body();
    const old = request.lines.includes('Authorization: Bearer token-1');
    if (!old || scene.upstream.requests.length === 1) socket.write(reply(200, 'in'));
    else refused.push(socket);
  });
  await ask();
  const clients = await Promise.all(Array.from({ length: 4 }, () => rawClient(scene.gateway.sidecar)));
  const answers = clients.map((one) => one.write(head('/')).reader.response());
  while (refused.length < 4) await scene.gateway.metrics();
  // One after the other: the second is refused when the new credential is there already.
  for (const [i, socket] of refused.entries()) {
    socket.write(reply(401, 'out'));
    await scene.gateway.recorded(2 + i);
  }
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(token).toBe(2);
});

test('a refusal that stays is changed by the plugin like any other response', async () => {
  await connected(
    {
      getCredentials: () => bearer('same'),
      modifyResponse(_context, response) {
        response.headers.set('X-Seen', String(response.status));
        return { skipErrorNormalization: true };
      },
    },
    only('never'),
  );
  for (const status of ['200', '401']) expect((await ask()).field('x-seen')).toBe(status);
});

test('a plugin that fails when it is asked again is named in the log, and the refusal goes on', async () => {
  let calls = 0;
  await connected(
    {
      getCredentials() {
        if (++calls === 1) return bearer('first');
        throw new Error('no more of them');
      },
    },
    only('never'),
  );
  await ask();
  expect((await ask()).status).toBe(401);
  expect(await scene.gateway.log()).toContain('no more of them');
});

test('a plugin that signs each request from now on is not asked to renew what it gave before', async () => {
  const answers = [() => bearer('first')];
  await connected(
    {
      getCredentials(_context, request) {
        const answer = answers.shift();
        if (answer !== undefined) return answer();
        request.headers.set('X-Signature', 's');
        return bearer('second');
      },
    },
    only('Authorization: Bearer second'),
  );
  await ask();
  expect((await ask()).status).toBe(401);
  expect(scene.upstream.requests).toHaveLength(2);
  expect(echoed(await ask()).lines.filter((line) => /^(x-signature|auth)/i.test(line))).toEqual([
    expect.stringMatching(/^x-signature: s$/i),
    'Authorization: Bearer second',
  ]);
});

test('a body that the plugin has read is there when it is asked again, and goes out again', async () => {
  const seen: string[] = [];
  await connected(
    {
      async getCredentials(_context, request) {
        seen.push(Buffer.from(await request.body.bytes()).toString());
        return bearer(`token-${seen.length}`);
      },
    },
    async (request, socket) => {
      if (request.lines.includes('Authorization: Bearer token-2')) await echo(request, socket);
      else socket.write(reply(401, 'out'));
    },
  );
  client.write(head('/').replace('GET', 'PUT').replace('\r\n\r\n', '\r\nContent-Length: 7\r\n\r\npayload'));
  expect(echoed(await client.reader.response('PUT'))).toMatchObject({ method: 'PUT', length: 7 });
  expect(seen).toEqual(['payload', 'payload']);
});

describe('pipelined and concurrent requests', () => {
  test('get their own answers', async () => {
    let token = 0;
    await connected(
      { getCredentials: () => bearer(`token-${++token}`) },
      only('Authorization: Bearer token-2', async (request, socket) => {
        socket.write(reply(200, `size ${request.field('x-size')?.length}`));
      }),
    );
    await ask();
    const sizes = Array.from({ length: 10 }, (_, i) => 40 * i);
    client.write(sizes.map((size) => head('/', `X-Size: ${'p'.repeat(size)}`)).join(''));
    for (const size of sizes) expect((await client.reader.response()).body.toString()).toBe(`size ${size}`);
  });
});
