import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Response } from '../testing/message-reader.test.support.js';
import { type RawClient, rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, type Scene, secureScene, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply } from '../testing/scripted-upstream.test.support.js';

const TOKEN = 'a-token-of-a-platform';
const sections = `
policy:
  rules: ["allow api.test:* GET,POST,HEAD /v1/** to 127.0.0.1", "allow other.test:* to 127.0.0.1", "allow localhost:*", "allow only-posts.test:* POST"]
callers: { here: { loopback: true, credentials: all }, platform: { token: ${TOKEN} } }
credentials:
  key: { source: { type: static, value: the-secret-value }, bind: [{ hosts: ["api.test:*"], place: { header: X-Key }, plaintext: true }] }`;

const TIMING = /^plugin;dur=\d+\.\d\d, upstream;dur=\d+\.\d\d, overhead;dur=\d+\.\d\d$/;

let scene: Scene;
let client: RawClient;
beforeAll(async () => {
  scene = await plainScene(echo, sections);
});
beforeEach(async () => {
  scene.upstream.script = echo;
  client = await rawClient(scene.gateway.sidecar);
});
afterAll(stopEverything);

const call = (target: string | null, lines: readonly string[] = [], startLine = 'GET /proxy HTTP/1.1'): Promise<Response> =>
  client.request(startLine, ['Host: sidecar', ...(target === null ? [] : [`X-Connect-Target-URL: ${target}`]), ...lines]);
const url = (path: string): string => `${scene.origin}${path}`;

describe('a request that does not get through', () => {
  test.each([
    ['no target', () => null, [], 400, 'target_missing', 'missing Target-URL header'],
    ['an empty target', () => '', [], 400, 'target_missing', 'missing Target-URL header'],
    ['a target that is no URL', () => '/v1/x', [], 400, 'target_invalid', 'invalid target URL'],
    ['a target without a host', () => 'https:///v1', [], 400, 'target_invalid', 'invalid target URL'],
    ['another scheme', () => 'ftp://api.test/v1', [], 400, 'target_invalid', 'invalid target URL'],
    ['port 0', () => 'https://api.test:0/v1', [], 400, 'target_invalid', 'invalid target URL'],
    ['port 99999', () => 'https://api.test:99999/v1', [], 400, 'target_invalid', 'invalid target URL'],
    ['a traversal', () => url('/v1/../admin'), [], 400, 'target_path_ambiguous', 'invalid target URL'],
    ['an encoded traversal', () => url('/v1/%2e%2e/admin'), [], 400, 'target_path_ambiguous', 'invalid target URL'],
    ['a traversal that is encoded twice', () => url('/v1/%252e%252e/admin'), [], 400, 'target_path_ambiguous', 'invalid target URL'],
    ['a traversal with backslashes', () => url('/v1/..\\admin'), [], 400, 'target_path_ambiguous', 'invalid target URL'],
    ['a host that is not listed', () => 'https://unknown.example/v1', [], 403, 'policy_denied', 'host not allowed'],
    ['a path that is not listed', () => url('/v2'), [], 403, 'policy_denied', 'path not allowed'],
    ['a method that is not listed', () => 'http://only-posts.test:1/', [], 403, 'policy_denied', 'path not allowed'],
    ['an address that may not be called', () => `http://localhost:${scene.upstream.port}/`, [], 403, 'address_denied', 'host not allowed'],
    ['context data that is no Base64', () => url('/v1'), ['X-Connect-Context-Data: {}'], 400, 'context_data_invalid', 'invalid Context-Data'],
    [
      'context data in URL-safe Base64',
      () => url('/v1'),
      ['X-Connect-Context-Data: eyJhIjoiPz8_In0='],
      400,
      'context_data_invalid',
      'invalid Context-Data',
    ],
    ['context data without padding', () => url('/v1'), ['X-Connect-Context-Data: e30'], 400, 'context_data_invalid', 'invalid Context-Data'],
    [
      'context data that is no object',
      () => url('/v1'),
      [`X-Connect-Context-Data: ${Buffer.from('[1]').toString('base64')}`],
      400,
      'context_data_invalid',
      'invalid Context-Data',
    ],
    [
      'context data that is no JSON',
      () => url('/v1'),
      [`X-Connect-Context-Data: ${Buffer.from('{').toString('base64')}`],
      400,
      'context_data_invalid',
      'invalid Context-Data',
    ],
    ['an upstream that refuses', () => 'http://other.test:1/', [], 502, 'upstream_refused', expect.any(String)],
  ])('because of %s', async (_, target, lines, status, code, words) => {
    const recorded = scene.gateway.exchanges.length;
    const connected = scene.upstream.requests.length;
    const response = await call(target(), lines);
    expect(response.status).toBe(status);
    expect(problem(response)).toMatchObject({ code, error: words, status });
    expect(response.field('X-Sallyport-Error')).toBe(code);
    expect(response.field('Server-Timing')).toMatch(TIMING);
    expect(response.field('Connect-Request-ID')).toBe(problem(response).request_id);
    expect(await scene.gateway.recorded(recorded + 1)).toMatchObject({ door: 'sidecar', error: code, status });
    expect(scene.upstream.requests).toHaveLength(connected);
  });

  test('at another path, in absolute form or by CONNECT is not taken for anything else', async () => {
    expect(problem(await call(url('/v1'), [], 'GET /proxy/x HTTP/1.1')).code).toBe('not_found');
    expect(problem(await call(url('/v1'), [], 'GET /proxyx HTTP/1.1')).code).toBe('not_found');
    expect(problem(await call(url('/v1'), [], 'GET http://api.test/v1 HTTP/1.1')).code).toBe('request_target_unsupported');
    expect(problem(await call(url('/v1'), [], 'CONNECT api.test:443 HTTP/1.1')).code).toBe('request_target_unsupported');
  });

  test('because of an http:// target where only https:// may be called', async () => {
    const strict = await secureScene(echo, 'listeners: { sidecar: { port: 0 }, ops: { port: 0 } }');
    const own = await rawClient(strict.gateway.sidecar);
    const response = await own.request('GET /proxy HTTP/1.1', ['Host: x', 'X-Connect-Target-URL: http://api.test/']);
    expect(problem(response)).toMatchObject({
      code: 'insecure_target',
      error: 'HTTPS required: insecure HTTP target URLs are not allowed',
      status: 400,
    });
    expect((await own.request('GET /proxy HTTP/1.1', ['Host: x', `X-Connect-Target-URL: ${strict.origin}/`])).status).toBe(200);
  });
});

describe('the target', () => {
  test.each(['/v1/a%2Fb', '/v1//c/', '/v1/?', '/v1/x?a=1&b=%20&c;d', '/v1/%C3%A9?q=%zz'])('reaches the upstream byte for byte: %s', async (path) => {
    expect(echoed(await call(url(path))).target).toBe(path);
  });

  test('is `/` where it names no path, and never `/proxy`', async () => {
    for (const [target, expected] of [
      ['', '/'],
      ['/', '/'],
      ['?q=1', '/?q=1'],
    ] as const) {
      const response = await call(`http://other.test:${scene.upstream.port}${target}`);
      expect(echoed(response).target).toBe(expected);
    }
  });

  test('keeps its query to itself: that of /proxy goes nowhere', async () => {
    expect(echoed(await call(url('/v1/x?a=1'), [], 'GET /proxy?b=2 HTTP/1.1')).target).toBe('/v1/x?a=1');
  });

  test('loses its user name and password', async () => {
    const response = await call(url('/v1/x').replace('http://', 'http://user:pass@'));
    expect(echoed(response).lines.join('\n')).not.toMatch(/user|pass|authorization/i);
  });

  test('is the first one, and is looked at anew for every request', async () => {
    expect(echoed(await call(url('/v1/first'), [`X-Connect-Target-URL: ${url('/v1/second')}`])).target).toBe('/v1/first');
    expect((await call(url('/v2'))).status).toBe(403);
    expect(echoed(await call(url('/v1/first'))).target).toBe('/v1/first');
  });
});

describe('context data', () => {
  test('that cannot be read is refused every time, also between two that can', async () => {
    const statusOf = async (...lines: string[]): Promise<number> => (await call(url('/v1'), lines)).status;
    const [valid, other, invalid] = ['e30=', 'eyJhIjoxfQ==', 'e30'].map((value) => `X-Connect-Context-Data: ${value}`);
    const requests = [
      [],
      [valid],
      [valid],
      [invalid],
      [invalid],
      [valid],
      [other],
      [invalid, valid],
      [valid, invalid],
      ['X-Connect-Context-Data:'],
      [],
    ];
    const statuses: number[] = [];
    for (const lines of requests) statuses.push(await statusOf(...lines));
    expect(statuses).toEqual([200, 200, 200, 400, 400, 200, 200, 400, 200, 200, 200]);
  });
});

describe('what goes upstream', () => {
  test('holds nothing that was meant for the gateway', async () => {
    const context = ['Vendor-ID', 'Environment-ID', 'Marketplace-ID', 'Product-ID', 'Subscription-ID', 'Service-ID', 'Made-Up'].map(
      (name) => `x-CONNECT-${name}: 1`,
    );
    const own = ['X-Connect-Context-Data: e30=', 'X-Sallyport-Credential: key', `X-Sallyport-Token: ${TOKEN}`];
    const inbound = [
      'X-Forwarded-For: 10.0.0.1',
      'X-Real-IP: 10.0.0.1',
      'Forwarded: for=10.0.0.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: h',
    ];
    const response = await call(url('/v1/x'), [...context, ...inbound, ...own.slice(0, 2), 'X-Connected: stays', 'User-Agent: u', 'X-KEY: mine']);
    expect(echoed(response).lines).toEqual([
      `Host: ${scene.authority}`,
      'X-Connected: stays',
      'User-Agent: u',
      expect.stringMatching(/^Connect-Request-ID: [0-9a-f-]{36}$/),
      'X-Key: the-secret-value',
    ]);
    const identified = await call(`http://other.test:${scene.upstream.port}/`, [own[2]]);
    expect(echoed(identified).lines.join()).not.toContain(TOKEN);
  });

  test('nor do its trailers', async () => {
    const body = '1\r\na\r\n0\r\nX-Connect-Vendor-ID: 1\r\nX-Sum: 2\r\nX-Key: mine\r\n\r\n';
    const response = await client.request(
      'POST /proxy HTTP/1.1',
      ['Host: s', `X-Connect-Target-URL: ${url('/v1/x')}`, 'Transfer-Encoding: chunked'],
      body,
    );
    expect(echoed(response)).toMatchObject({ length: 1, trailers: ['X-Sum: 2'] });
  });
});

describe('the trace header', () => {
  test('is accepted, sent upstream, sent back and recorded', async () => {
    const recorded = scene.gateway.exchanges.length;
    const response = await call(url('/v1/x'), ['connect-request-id: trace-1']);
    expect(echoed(response).lines.filter((line) => /^connect-request-id/i.test(line))).toEqual(['Connect-Request-ID: trace-1']);
    expect(response.all('Connect-Request-ID')).toEqual(['trace-1']);
    expect((await scene.gateway.recorded(recorded + 1)).requestId).toBe('trace-1');
  });

  test('of the upstream, and its Server-Timing, are replaced by ours', async () => {
    scene.upstream.script = (_, socket) => void socket.write(reply(200, 'x', ['Connect-Request-ID: theirs', 'Server-Timing: db;dur=1']));
    const response = await call(url('/v1/x'), ['Connect-Request-ID: ours']);
    expect(response.all('Connect-Request-ID')).toEqual(['ours']);
    expect(response.all('Server-Timing')).toEqual([expect.stringMatching(TIMING)]);
  });
});

describe('the caller', () => {
  test('is the one of the token, bare or as Bearer, or the loopback caller without one; a wrong token is nobody', async () => {
    const at = scene.gateway.exchanges.length;
    const target = `http://other.test:${scene.upstream.port}/`;
    const statuses: number[] = [];
    for (const lines of [
      [`X-Sallyport-Token: ${TOKEN}`],
      [`x-sallyport-token: bearer ${TOKEN}`],
      [],
      ['X-Sallyport-Token: wrong'],
      ['X-Sallyport-Token:'],
      [`X-Sallyport-Token: ${TOKEN}`],
    ]) {
      statuses.push((await call(target, lines)).status);
    }
    expect(statuses).toEqual([200, 200, 200, 407, 407, 200]);
    await scene.gateway.recorded(at + 6);
    expect(scene.gateway.exchanges.slice(at).map(({ caller }) => caller?.name)).toEqual([
      'platform',
      'platform',
      'here',
      undefined,
      undefined,
      'platform',
    ]);
  });
});

test('the names of its headers can be configured, and the usual ones then mean nothing', async () => {
  const own =
    'listeners: { sidecar: { port: 0, insecure_targets: true, header_prefix: X-Acme, trace_header: X-Trace, caller_header: X-Acme-Who }, ops: { port: 0 } }';
  const { gateway, upstream } = await plainScene(echo, `${own}${sections.replace('/v1/**', '/**')}`);
  const other = await rawClient(gateway.sidecar);
  const target = `http://other.test:${upstream.port}/x`;
  expect(problem(await other.request('GET /proxy HTTP/1.1', ['Host: s', `X-Connect-Target-URL: ${target}`])).code).toBe('target_missing');
  const lines = ['Host: s', `x-acme-target-url: ${target}`, 'X-ACME-Other: 1', `X-Acme-Who: ${TOKEN}`, 'X-Trace: t', 'X-Connect-Vendor-ID: passes'];
  const response = await other.request('GET /proxy HTTP/1.1', lines);
  expect(echoed(response).lines).toEqual([`Host: other.test:${upstream.port}`, 'X-Connect-Vendor-ID: passes', 'X-Trace: t']);
  expect(response.field('X-Trace')).toBe('t');
  expect(await gateway.recorded(2)).toMatchObject({ caller: { name: 'platform' } });
});
