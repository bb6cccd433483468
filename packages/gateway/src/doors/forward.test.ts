import { afterEach, describe, expect, test } from 'vitest';
import { rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, secureScene, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

describe('absolute-form requests', () => {
  test('to http:// reach the upstream in origin form, with its own Host', async () => {
    const { gateway, origin, authority } = await plainScene();
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/a%2Fb//c/?q=%20+&r HTTP/1.1`, [`Host: ${authority}`, 'Accept: x/y', 'X-Odd:  kept \t']);
    expect(response.status).toBe(200);
    expect(echoed(response)).toMatchObject({ method: 'GET', target: '/a%2Fb//c/?q=%20+&r' });
    expect(echoed(response).lines).toEqual([
      `Host: ${authority}`,
      'Accept: x/y',
      'X-Odd:  kept \t',
      expect.stringMatching(/^X-Request-Id: [0-9a-f-]{36}$/),
    ]);
    expect(response.field('X-Sallyport-Request-Id')).toBe((await gateway.recorded(1)).requestId);
    expect(gateway.exchanges).toMatchObject([
      { outcome: 'completed', status: 200, upstreamStatus: 200, scheme: 'http', path: '/a%2Fb//c/', caller: { name: 'here' }, verdict: 'allowed' },
    ]);
  });

  test('to https:// are sent over TLS that the gateway opens', async () => {
    const { gateway, origin, authority } = await secureScene();
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin} HTTP/1.1`, [`Host: ${authority}`]);
    expect(echoed(response)).toMatchObject({ target: '/', lines: [`Host: ${authority}`, expect.any(String)] });
    expect(await gateway.recorded(1)).toMatchObject({ scheme: 'https', path: '/' });
  });

  test.each([
    ['a path only', 'GET /x HTTP/1.1', 'api.test', 400, 'request_target_unsupported'],
    ['an asterisk', 'OPTIONS * HTTP/1.1', 'api.test', 400, 'request_target_unsupported'],
    ['another scheme', 'GET ftp://api.test/x HTTP/1.1', 'api.test', 400, 'target_invalid'],
    ['userinfo', 'GET http://user:pass@api.test/ HTTP/1.1', 'api.test', 400, 'target_invalid'],
    ['a fragment', 'GET http://api.test/#x HTTP/1.1', 'api.test', 400, 'target_invalid'],
    ['no host', 'GET http:///x HTTP/1.1', 'api.test', 400, 'target_invalid'],
    ['port 0', 'GET http://api.test:0/x HTTP/1.1', 'api.test:0', 400, 'target_invalid'],
    ['another host than the Host field', 'GET http://api.test/x HTTP/1.1', 'other.test', 421, 'misdirected_request'],
    ['another port than the Host field', 'GET http://api.test:8081/x HTTP/1.1', 'api.test:8082', 421, 'misdirected_request'],
    ['a Host field that is no host', 'GET http://api.test/x HTTP/1.1', 'api test', 400, 'target_invalid'],
    ['a version that does not exist', 'GET http://api.test/x HTTP/1.2', 'api.test', 505, 'request_version_unsupported'],
  ])('with %s are refused', async (_, startLine, host, status, code) => {
    const { gateway, upstream } = await plainScene();
    const client = await rawClient(gateway.forward);
    const response = await client.request(startLine, [`Host: ${host}`]);
    expect(response.status).toBe(status);
    expect(response.field('Content-Type')).toBe('application/problem+json');
    expect(response.field('X-Sallyport-Error')).toBe(code);
    expect(problem(response)).toMatchObject({ code, status, request_id: response.field('X-Sallyport-Request-Id') });
    expect(problem(response).hint).toEqual(expect.any(String));
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'refused', error: code, status });
    expect(upstream.sockets).toHaveLength(0);
  });

  test('whose Host field is the same host in another spelling go through', async () => {
    const { gateway, upstream, origin } = await plainScene();
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/x HTTP/1.1`, [`Host: API.Test.:${upstream.port}`]);
    expect(echoed(response).lines[0]).toBe(`Host: api.test:${upstream.port}`);
  });

  test('are refused without TLS where only https:// may be called', async () => {
    const { gateway, origin } = await plainScene(echo, 'listeners: { forward: { port: 0, insecure_targets: false }, ops: { port: 0 } }');
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/x HTTP/1.1`, ['Host: api.test']);
    expect(response.status).toBe(400);
    expect(problem(response).code).toBe('insecure_target');
  });
});

describe('one connection', () => {
  test('serves pipelined requests in order, whatever each of them comes to', async () => {
    const { gateway, origin, authority } = await plainScene((request, socket) => {
      socket.write(reply(200, request.target));
    });
    const client = await rawClient(gateway.forward);
    const one = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
    client.write(
      `${one(`${origin}/1`)}GET http://denied.example/2 HTTP/1.1\r\nHost: denied.example\r\n\r\n${one(`${origin}/3`)}${one(`${origin}/4`)}`,
    );
    const responses = [
      await client.reader.response(),
      await client.reader.response(),
      await client.reader.response(),
      await client.reader.response(),
    ];
    expect(responses.map(({ status }) => status)).toEqual([200, 403, 200, 200]);
    expect([0, 2, 3].map((i) => responses[i]?.body.toString())).toEqual(['/1', '/3', '/4']);
    await gateway.recorded(4);
    expect(gateway.exchanges.map(({ path, outcome }) => [path, outcome])).toEqual([
      ['/1', 'completed'],
      ['/2', 'refused'],
      ['/3', 'completed'],
      ['/4', 'completed'],
    ]);
  });

  test('is closed after a request that cannot be read, and what follows is not looked at', async () => {
    const { gateway, upstream, origin, authority } = await plainScene();
    const client = await rawClient(gateway.forward);
    client.write(`GET ${origin}/1 HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`);
    client.write(`0\r\n\r\nGET ${origin}/smuggled HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    const response = await client.reader.response();
    expect(response.status).toBe(400);
    expect(problem(response).code).toBe('request_framing_ambiguous');
    expect(response.field('Connection')).toBe('close');
    expect((await client.reader.rest()).length).toBe(0);
    expect(upstream.requests).toHaveLength(0);
    expect(gateway.exchanges).toHaveLength(1);
  });

  test('keeps the request id that a client sends when it is harmless, and makes one when it is not', async () => {
    const { gateway, origin, authority } = await plainScene();
    const client = await rawClient(gateway.forward);
    const harmless = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`, 'X-Request-Id: abc/1:2=+']);
    expect(harmless.field('X-Sallyport-Request-Id')).toBe('abc/1:2=+');
    expect(echoed(harmless).lines).toContain('X-Request-Id: abc/1:2=+');
    const harmful = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`, 'X-Request-Id: "x"<script>']);
    expect(harmful.field('X-Sallyport-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(echoed(harmful).lines.filter((line) => line.toLowerCase().startsWith('x-request-id'))).toHaveLength(1);
  });

  test('of HTTP/1.0 is closed unless the client asks to keep it', async () => {
    const { gateway, origin } = await plainScene();
    const closing = await rawClient(gateway.forward);
    expect(await closing.request(`GET ${origin}/ HTTP/1.0`)).toMatchObject({ status: 200, complete: true });
    expect(await closing.reader.end()).toBe('end');
    const keeping = await rawClient(gateway.forward);
    const first = await keeping.request(`GET ${origin}/1 HTTP/1.0`, ['Connection: keep-alive']);
    expect(first.field('Connection')).toBe('keep-alive');
    expect(echoed(await keeping.request(`GET ${origin}/2 HTTP/1.0`, ['Connection: keep-alive'])).target).toBe('/2');
  });
});

test('an upstream cannot pass its own answer off as a refusal of the gateway', async () => {
  const { gateway, origin, authority } = await plainScene((_, socket) => {
    socket.write(reply(403, 'no', ['X-Sallyport-Error: policy_denied', 'X-Sallyport-Request-Id: forged', 'X-Moat-Blocked: request-rule']));
  });
  const client = await rawClient(gateway.forward);
  const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`]);
  expect(response.status).toBe(403);
  expect(response.all('X-Sallyport-Error')).toEqual([]);
  expect(response.all('X-Moat-Blocked')).toEqual([]);
  expect(response.all('X-Sallyport-Request-Id')).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)]);
});
