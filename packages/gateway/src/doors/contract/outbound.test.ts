import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { echoed, problem, stopEverything } from '../../testing/scene.test.support.js';
import { reply } from '../../testing/scripted-upstream.test.support.js';
import { type Contract, contract, stopContracts } from './contract-scene.test.support.js';

/** For all that the vendor only has to tell what it got. */
let echoing: Contract;
beforeAll(async () => {
  echoing = await contract();
});
afterAll(async () => {
  await stopContracts();
  await stopEverything();
});

const authorityOf = (scene: Contract): string => scene.origin.slice('https://'.length);
const CREDENTIALS = ['Authorization', 'Cookie', 'X-API-Key', 'X-Auth-Token', 'Proxy-Authorization'];

describe('the URL', () => {
  test.each(['/a/b', '/a%2Fb', '/a//b', '/a?q=1&r=%20', '/é'.replace('é', '%C3%A9')])('goes out as it was written: %s', async (path) => {
    const scene = echoing;
    expect(echoed(await scene.call(path)).target).toBe(path);
  });

  test.each([
    ['', '/'],
    ['/', '/'],
    ['/?q=1', '/?q=1'],
    ['?q=1', '/?q=1'],
  ])('of the root is the root, not /proxy as there: %j', async (path, target) => {
    const scene = echoing;
    expect(echoed(await scene.call(`${scene.origin}${path}`)).target).toBe(target);
  });

  test('has its own query only: that of /proxy, which is appended there, was checked by nobody', async () => {
    const scene = echoing;
    expect(echoed(await scene.call('/x?a=1', { at: '/proxy?b=2' })).target).toBe('/x?a=1');
  });

  test('loses its user name and password', async () => {
    const scene = echoing;
    const { lines } = echoed(await scene.call(scene.origin.replace('https://', 'https://user:pass@')));
    expect(lines.join()).not.toMatch(/user|pass|authorization/i);
  });

  test('names the Host', async () => {
    const scene = echoing;
    expect(echoed(await scene.call('/', { lines: ['X-A: b'] })).lines[0]).toBe(`Host: ${authorityOf(scene)}`);
  });

  test('is https: plain http is 400', async () => {
    const scene = await contract({ keys: { 'upstream.allow_list': { 'vendor.test': ['/**'] } } });
    expect(problem(await scene.call('http://vendor.test/'))).toMatchObject({
      status: 400,
      code: 'insecure_target',
      error: expect.stringMatching(/^HTTPS required/) as unknown,
    });
  });
});

describe('the request', () => {
  test('keeps its method, its body and its other fields', async () => {
    const scene = echoing;
    const told = echoed(await scene.call('/', { method: 'PATCH', body: 'hello', lines: ['Content-Type: text/x', 'User-Agent: theirs', 'X-A: b'] }));
    expect(told).toMatchObject({ method: 'PATCH', length: 5 });
    expect(told.lines).toEqual(expect.arrayContaining(['Content-Type: text/x', 'User-Agent: theirs', 'X-A: b']));
  });

  test('gets neither a User-Agent nor an Accept-Encoding of ours', async () => {
    const scene = echoing;
    expect(echoed(await scene.call('/')).lines.filter((line) => /^(user-agent|accept-encoding|via)/i.test(line))).toEqual([]);
  });

  test.each(['Connection: X-Hop', 'Keep-Alive: 5', 'Proxy-Connection: x', 'TE: gzip', 'Trailer: X-T', 'Upgrade: h2c', 'Proxy-Authenticate: x'])(
    'loses what ends at this hop: %s',
    async (line) => {
      const scene = echoing;
      const { lines } = echoed(await scene.call('/', { lines: [line, 'X-Hop: 1'] }));
      expect(lines.filter((each) => each.startsWith(line.slice(0, line.indexOf(':'))))).toEqual([]);
      expect(lines.includes('X-Hop: 1')).toBe(!line.includes('X-Hop'));
    },
  );

  test.each(CREDENTIALS)('takes no %s of the platform along: it reaches the vendor there', async (name) => {
    const scene = echoing;
    const { lines } = echoed(await scene.call('/', { lines: [`${name}: of-the-platform`, `${name.toLowerCase()}: twice`] }));
    expect(lines.filter((line) => line.toLowerCase().startsWith(name.toLowerCase()))).toEqual([]);
  });

  test.each(CREDENTIALS.slice(0, 4))('takes the %s of the plugin along in its place', async (name) => {
    const plugin = { getCredentials: () => ({ headers: { [name]: 'of-the-plugin' }, expiresAt: Date.now() + 3_600_000 }) };
    const scene = await contract({ plugin });
    const { lines } = echoed(await scene.call('/', { lines: [`${name}: of-the-platform`] }));
    expect(lines.filter((line) => line.toLowerCase().startsWith(name.toLowerCase()))).toEqual([`${name}: of-the-plugin`]);
  });

  test('is told to go on when it asks, by the vendor', async () => {
    const scene = await contract({
      script: async (request, socket) => {
        socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        const { body } = await request.body();
        socket.write(reply(200, body.toString()));
      },
    });
    const client = await scene.client();
    const lines = ['Host: s', `X-Connect-Target-URL: ${scene.origin}/`, 'Expect: 100-continue', 'Content-Length: 5'];
    client.write(`PUT /proxy HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    expect((await client.reader.head())?.startLine).toMatch(/^HTTP\/1\.1 100 /);
    client.write('hello');
    expect((await client.reader.response('PUT')).body.toString()).toBe('hello');
    expect(scene.vendor.requests[0]?.field('expect')).toBe('100-continue');
  });
});

describe('the connection', () => {
  test('to the vendor is kept and used again', async () => {
    const scene = echoing;
    for (let i = 0; i < 3; i++) expect(echoed(await scene.call('/')).connection).toBe(0);
  });

  test('follows no redirect', async () => {
    const scene = await contract({ script: (_, socket) => void socket.write(reply(302, 'moved', ['Location: /elsewhere'])) });
    const response = await scene.call('/');
    expect([response.status, response.field('Location'), response.body.toString()]).toEqual([302, '/elsewhere', 'moved']);
    expect(scene.vendor.requests).toHaveLength(1);
  });

  test('does not go where the certificate is for another name', async () => {
    const scene = await contract({ inside: ['other.test'], keys: { 'upstream.allow_list': { 'other.test': ['/**'] } } });
    await scene.gateway.reload({ ...scene.config, policy: { ...scene.config.policy, rules: ['allow other.test:* to 127.0.0.0/8'] } });
    expect(problem(await scene.call(`https://other.test:${scene.vendor.port}/`))).toMatchObject({
      status: 502,
      code: 'upstream_tls_name_mismatch',
      error: 'Bad Gateway',
    });
  });

  test('does not lead inside by a listed name, which it does there', async () => {
    const scene = await contract({ inside: ['metadata.test'], keys: { 'upstream.allow_list': { 'metadata.test': ['/**'] } } });
    expect(problem(await scene.call('https://metadata.test/'))).toMatchObject({ status: 403, code: 'address_denied' });
  });
});

describe('bodies', () => {
  test('stream both ways at the same time', async () => {
    const scene = await contract({
      script: async (request, socket) => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nready\r\n');
        const { body } = await request.body();
        socket.write(`${body.length.toString(16)}\r\n${body.toString()}\r\n0\r\n\r\n`);
      },
    });
    const client = await scene.client();
    const head = ['POST /proxy HTTP/1.1', 'Host: s', `X-Connect-Target-URL: ${scene.origin}/`, 'Transfer-Encoding: chunked'];
    client.write(`${head.join('\r\n')}\r\n\r\n1\r\na\r\n`);
    await client.reader.until('ready\r\n');
    client.write('1\r\nb\r\n0\r\n\r\n');
    expect(String(await client.reader.until('0\r\n\r\n'))).toBe('2\r\nab\r\n0\r\n\r\n');
  });

  test.each([
    ['of an event stream', 'Content-Type: text/event-stream\r\nTransfer-Encoding: chunked'],
    ['of unknown length', 'Transfer-Encoding: chunked'],
    ['of known length', 'Content-Length: 1000'],
  ])('%s go on as they come: the first bytes arrive while the vendor still thinks', async (_, framing) => {
    const plugin = { getCredentials: () => ({ headers: { 'X-Key': 'the-key' }, expiresAt: Date.now() + 3_600_000 }) };
    const scene = await contract({
      plugin,
      script: (_request, socket) => {
        socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${framing.includes('chunked') ? 'b\r\ndata: one\n\n\r\n' : 'data: one\n\n'}`);
        return new Promise(() => {});
      },
    });
    const client = await scene.client();
    client.write(`GET /proxy HTTP/1.1\r\nHost: s\r\nX-Connect-Target-URL: ${scene.origin}/\r\n\r\n`);
    expect(await client.reader.until('data: one\n\n')).not.toBeNull();
    expect(client.reader.ended).toBe('open');
  });

  test('that were compressed stay so', async () => {
    const scene = await contract({ script: (_, socket) => void socket.write(reply(200, 'not really gzip', ['Content-Encoding: gzip'])) });
    const response = await scene.call('/', { lines: ['Accept-Encoding: gzip'] });
    expect([response.field('Content-Encoding'), response.body.toString()]).toEqual(['gzip', 'not really gzip']);
  });
});

test('a WebSocket passes, with the credential of the plugin in its handshake', async () => {
  const plugin = { getCredentials: () => ({ headers: { 'X-Key': 'the-key' }, expiresAt: Date.now() + 3_600_000 }) };
  const scene = await contract({
    plugin,
    script: async (request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Key: the-key\r\n\r\nserver first');
      socket.write(await request.reader.bytes(12));
      socket.end();
    },
  });
  const client = await scene.client();
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x', 'Authorization: Bearer of-the-platform'];
  const response = await client.request('GET /proxy HTTP/1.1', ['Host: s', `X-Connect-Target-URL: ${scene.origin}/chat`, ...upgrade]);
  expect([response.status, response.field('X-Key')]).toEqual([101, undefined]);
  expect((await client.reader.bytes(12)).toString()).toBe('server first');
  client.write('client bytes');
  expect((await client.reader.bytes(12)).toString()).toBe('client bytes');
  client.socket.end();
  const [request] = scene.vendor.requests;
  expect(request?.lines).toEqual(expect.arrayContaining(['X-Key: the-key', 'Upgrade: websocket']));
  expect(request?.lines.join()).not.toContain('of-the-platform');
  expect(await scene.recorded(1)).toMatchObject({ kind: 'upgrade', status: 101, outcome: 'completed' });
  if (!client.socket.destroyed) await once(client.socket, 'close');
});
