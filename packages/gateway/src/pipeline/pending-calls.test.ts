import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Plugin, SallyportError } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RawClient, rawClient, secure } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, type Scene, stopEverything, upstreamAuthority } from '../testing/scene.test.support.js';
import { echo, reply, type Script } from '../testing/scripted-upstream.test.support.js';
import { temporaryDirectory } from '../testing/temporary-directory.test.support.js';
import { poisonReadBuffers } from '../wire/read-buffers.js';

beforeEach(() => poisonReadBuffers(true));
afterEach(async () => {
  poisonReadBuffers(false);
  await stopEverything();
});

const TWO_CALLERS = 'callers: { ann: { token: the-token-of-ann, credentials: all }, bob: { token: the-token-of-bob, credentials: all } }';

let scene: Scene;

async function withPlugin(plugin: Plugin, script: Script = echo, sections = ''): Promise<void> {
  scene = await plainScene(script, sections, {}, { plugin });
}

const head = (method: string, ...lines: string[]): string =>
  `${[`${method} /proxy HTTP/1.1`, 'Host: s', `X-Connect-Target-URL: ${scene.origin}/`, ...lines].join('\r\n')}\r\n\r\n`;

const nested = (depth: number): string => Buffer.from(`{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`).toString('base64');
const later = (): number => Date.now() + 3_600_000;
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The section of a sidecar that speaks TLS as `api.test`. */
async function tlsSidecar(): Promise<string> {
  const { cert, key } = (await upstreamAuthority()).serverFor('api.test');
  const directory = await temporaryDirectory();
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
  await Promise.all([writeFile(files.cert, cert as string), writeFile(files.key, key as string)]);
  return `listeners: { sidecar: { port: 0, insecure_targets: true, tls: ${JSON.stringify(files)} }, ops: { port: 0 } }`;
}

async function tlsClient(port: number): Promise<RawClient> {
  const ca = (await upstreamAuthority()).authority.certificatePem;
  return await secure(await rawClient(port), { ca, servername: 'api.test', ALPNProtocols: [] });
}

/** A plugin that answers nothing before `release`, and how to wait until it was called so many times. */
function gated(answer: Plugin['getCredentials'] & {}) {
  const events = new EventEmitter();
  const released = once(events, 'release');
  let calls = 0;
  const plugin: Plugin = {
    async getCredentials(context, request, options) {
      calls++;
      events.emit('called');
      await released;
      return await answer(context, request, options);
    },
  };
  const called = async (count: number): Promise<void> => {
    while (calls < count) await once(events, 'called');
  };
  return { plugin, called, release: () => events.emit('release') };
}

test.each(['plain', 'TLS'])('what arrives meanwhile on many %s connections goes out on its own, byte for byte', async (kind) => {
  const { plugin, called, release } = gated((context, request) => {
    request.headers.set('X-Of', context.vendorId);
    return null;
  });
  await withPlugin(
    plugin,
    async (request, socket) => {
      const { body } = await request.body();
      socket.write(reply(200, `${request.field('x-of')} ${sha(body)}`));
    },
    kind === 'TLS' ? await tlsSidecar() : '',
  );
  const open = kind === 'TLS' ? tlsClient : rawClient;
  const clients = await Promise.all(Array.from({ length: 8 }, () => open(scene.gateway.sidecar)));
  const bodies = clients.map((_, i) => randomBytes(1_000 + i * 20_000));
  clients.forEach((client, i) => {
    client
      .write(head('POST', `X-Connect-Vendor-ID: first-${i}`, `Content-Length: ${bodies[i]?.length}`))
      .write((bodies[i] as Buffer).subarray(0, 500));
  });
  await called(8);
  clients.forEach((client, i) => {
    client.write((bodies[i] as Buffer).subarray(500)).write(head('POST', `X-Connect-Vendor-ID: second-${i}`, 'Transfer-Encoding: chunked'));
    client.write(`1\r\n${i}\r\n0\r\n\r\n`);
  });
  await scene.gateway.metrics();
  release();
  for (const [i, client] of clients.entries()) {
    expect((await client.reader.response('POST')).body.toString()).toBe(`first-${i} ${sha(bodies[i] as Buffer)}`);
    expect((await client.reader.response('POST')).body.toString()).toBe(`second-${i} ${sha(Buffer.from(String(i)))}`);
  }
});

test('a client that has closed its half is answered all the same; one that has not sent all of its body is given up', async () => {
  const { plugin, called, release } = gated(() => null);
  await withPlugin(plugin);
  const [whole, part] = [await rawClient(scene.gateway.sidecar), await rawClient(scene.gateway.sidecar)];
  whole.write(head('GET')).socket.end();
  part.write(head('POST', 'Content-Length: 9')).write('part').socket.end();
  await called(1);
  await scene.gateway.metrics();
  release();
  expect((await whole.reader.response()).status).toBe(200);
  expect(await part.reader.end()).not.toBe('open');
  while (scene.gateway.exchanges.length < 2) await scene.gateway.recorded(scene.gateway.exchanges.length + 1);
  expect(scene.gateway.exchanges.map(({ outcome }) => outcome).sort()).toEqual(['aborted', 'completed']);
});

test('frames that a client sends before its WebSocket is open reach the upstream behind the 101', async () => {
  const { plugin, called, release } = gated((_context, request) => {
    request.headers.set('X-Signed', 'yes');
    return null;
  });
  await withPlugin(plugin, async (request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello');
    const frames = await request.reader.bytes(8);
    socket.write(`${request.field('x-signed')} ${frames.toString()}`);
    await request.reader.end();
  });
  const client = await rawClient(scene.gateway.sidecar);
  client.write(head('GET', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='));
  client.write('one,');
  await called(1);
  const other = await rawClient(scene.gateway.sidecar);
  other.write(head('GET', 'X-Noise: nnnnnnnnnnnnnnnnnnnnnnnn'));
  await scene.gateway.metrics();
  release();
  expect((await client.reader.response()).status).toBe(101);
  client.write('two;');
  expect((await client.reader.bytes('helloyes one,two;'.length)).toString()).toBe('helloyes one,two;');
});

test('requests that wait to become WebSockets together are no more of them than there may be', async () => {
  const { plugin, called, release } = gated(() => null);
  const switchAndWait: Script = async ({ reader }, socket) => {
    socket.write(switching);
    await reader.end();
  };
  const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  await withPlugin(plugin, switchAndWait, 'limits: { tunnels: 1 }');
  const clients = await Promise.all(Array.from({ length: 3 }, () => rawClient(scene.gateway.sidecar)));
  clients.forEach((client, i) => {
    client.write(head('GET', `X-Connect-Vendor-ID: ${i}`, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'));
  });
  await called(3);
  release();
  const statuses = await Promise.all(clients.map(async (client) => (await client.reader.response()).status));
  expect(statuses.sort((a, b) => a - b)).toEqual([101, 503, 503]);
});

test.each(['routeRequest', 'getCredentials'])('an error of %s that JSON cannot hold is answered like any other', async (method) => {
  const members = { amount: 10n };
  await withPlugin({
    [method]() {
      throw new SallyportError('mapping_not_found', { members });
    },
  });
  const client = await rawClient(scene.gateway.sidecar);
  for (let i = 0; i < 2; i++) {
    const response = await client.request('GET /proxy HTTP/1.1', ['Host: s', `X-Connect-Target-URL: ${scene.origin}/`, `X-Connect-Vendor-ID: ${i}`]);
    expect([response.status, problem(response).code]).toEqual([500, 'mapping_not_found']);
  }
});

describe('two callers', () => {
  const asCaller = (name: string, ...lines: string[]): string => head('GET', `X-Sallyport-Token: the-token-of-${name}`, ...lines);
  const given: Plugin = { getCredentials: () => ({ headers: { Authorization: `Bearer ${++tokens}` }, expiresAt: later() }) };
  let tokens = 0;
  let ann: RawClient;
  let bob: RawClient;

  async function both(plugin: Plugin): Promise<void> {
    tokens = 0;
    await withPlugin(plugin, echo, TWO_CALLERS);
    [ann, bob] = [await rawClient(scene.gateway.sidecar), await rawClient(scene.gateway.sidecar)];
  }

  const told = async (client: RawClient) => echoed(await client.reader.response());
  const token = (lines: readonly string[]): string | undefined => lines.find((line) => line.startsWith('Authorization'));

  test('who ask for the same at the same time get credentials and connections of their own', async () => {
    const { plugin, called, release } = gated((context, request, options) => given.getCredentials?.(context, request, options) ?? null);
    await both(plugin);
    ann.write(asCaller('ann').repeat(2));
    bob.write(asCaller('bob').repeat(2));
    await called(2);
    release();
    const [a, b] = await Promise.all([told(ann), told(bob)]);
    expect(token(a.lines)).not.toBe(token(b.lines));
    expect(a.connection).not.toBe(b.connection);
    expect([await told(ann), await told(bob)]).toMatchObject([{ connection: a.connection }, { connection: b.connection }]);
    expect(tokens).toBe(2);
  });

  test('who share a connection, or whose fields differ in spelling alone, are told apart', async () => {
    await both(given);
    const forms: [string, string][] = [
      ['ann', ''],
      ['bob', ''],
      ['ann', 'X-Connect-Vendor-ID: a'],
      ['ann', 'x-connect-VENDOR-id: a'],
      ['ann', 'X-Connect-Vendor-ID: A'],
      ['ann', 'X-Connect-Vendor-ID: \xe4'],
      ['ann', 'X-Connect-Vendor-ID: \xc3\xa4'],
      ['ann', 'X-Connect-Environment-ID: a'],
      ['ann', 'X-Connect-Vendor-ID:'],
      ['ann', 'X-Connect-Vendor-ID: a\r\nX-Connect-Vendor-ID: b'],
    ];
    const tokensOf: (string | undefined)[] = [];
    for (const [name, line] of forms) {
      ann.write(line === '' ? asCaller(name) : asCaller(name, line));
      tokensOf.push(token((await told(ann)).lines)?.slice(-1));
    }
    expect(tokensOf).toEqual(['1', '2', '3', '3', '4', '5', '6', '7', '1', '3']);
  });

  test('are told apart after a request that was refused', async () => {
    await both(given);
    ann.write(asCaller('ann'));
    const first = token((await told(ann)).lines);
    ann.write(asCaller('bob', `X-Connect-Context-Data: ${nested(100)}`));
    expect((await ann.reader.response()).status).toBe(400);
    ann.write(asCaller('bob'));
    expect(token((await told(ann)).lines)).not.toBe(first);
  });

  test('who are named anew by another configuration begin anew', async () => {
    await both(given);
    ann.write(asCaller('ann'));
    const before = token((await told(ann)).lines);
    await scene.gateway.reload(TWO_CALLERS.replace('ann:', 'bea:'));
    ann.write(asCaller('ann'));
    expect(token((await told(ann)).lines)).not.toBe(before);
    expect(scene.gateway.exchanges.map(({ caller }) => caller?.name)).toEqual(['ann', 'bea']);
  });
});

test('context data that is nested deep is refused, whatever the plugin is for', async () => {
  for (const method of ['routeRequest', 'modifyResponse', 'getCredentials'] as const) {
    let calls = 0;
    const counting = (): null => {
      calls++;
      return null;
    };
    await withPlugin({ [method]: counting });
    const client = await rawClient(scene.gateway.sidecar);
    const response = await client.request('GET /proxy HTTP/1.1', [
      'Host: s',
      `X-Connect-Target-URL: ${scene.origin}/`,
      `X-Connect-Context-Data: ${nested(10_000)}`,
    ]);
    expect([response.status, problem(response).code, calls]).toEqual([400, 'context_data_invalid', 0]);
    await stopEverything();
  }
});
