import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { basicAuthorization, connectThrough, type RawClient, rawClient, secure } from '../testing/raw-client.test.support.js';
import type { RunningGateway } from '../testing/running-gateway.test.support.js';
import { echoed, plainScene, problem, secureScene, stopEverything } from '../testing/scene.test.support.js';
import { echo, startUpstream } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

const TOKEN = 'a-token-of-a-caller';

/** A client that speaks TLS with the gateway as `api.test`. */
async function inside({ forward, caPem }: RunningGateway, authority: string, lines: readonly string[] = []): Promise<RawClient> {
  return secure(await connectThrough(forward, authority, lines), { ca: caPem, servername: 'api.test' });
}

describe('inside one tunnel', () => {
  const sections = `
policy: { rules: ["allow api.test:* GET,POST /allowed/** to 127.0.0.1"] }
callers: { ci: { token: ${TOKEN}, credentials: [key] } }
credentials:
  key:
    source: { type: static, value: the-secret-value }
    bind: [{ hosts: ["api.test:*"], paths: [/allowed/with-key], place: { header: X-Key } }]`;

  test('every request is decided, identified and given its credential on its own', async () => {
    const { gateway, upstream, authority } = await secureScene(echo, sections);
    const client = await inside(gateway, authority, [`Proxy-Authorization: ${basicAuthorization(TOKEN)}`]);
    const withKey = await client.request('GET /allowed/with-key HTTP/1.1', [`Host: ${authority}`, 'X-KEY: mine', 'x-key: mine too']);
    expect(echoed(withKey).lines.filter((line) => /^x-key:/i.test(line))).toEqual(['X-Key: the-secret-value']);
    const without = await client.request('GET /allowed/other HTTP/1.1', [`Host: ${authority}`, 'X-Key: mine']);
    expect(echoed(without).lines.filter((line) => /^x-key:/i.test(line))).toEqual(['X-Key: mine']);
    const denied = await client.request('DELETE /allowed/other HTTP/1.1', [`Host: ${authority}`]);
    expect(denied.status).toBe(403);
    expect(problem(denied)).toMatchObject({ code: 'policy_denied', reason: 'no_method_match' });
    expect(denied.field('X-Moat-Blocked')).toBe('request-rule');
    const again = await client.request('POST /allowed/with-key HTTP/1.1', [`Host: ${authority}`, 'Content-Length: 2'], 'ab');
    expect(echoed(again)).toMatchObject({ method: 'POST', length: 2 });
    await gateway.recorded(4);
    expect(gateway.exchanges.map(({ credential, outcome, caller }) => [credential, outcome, caller?.name])).toEqual([
      ['key', 'completed', 'ci'],
      [null, 'completed', 'ci'],
      [null, 'refused', 'ci'],
      ['key', 'completed', 'ci'],
    ]);
    // A connection that carried the credential is not the one that carried none.
    expect(upstream.requests.map(({ connection }) => connection)).toEqual([0, 1, 0]);
    expect(upstream.requests.every((request) => request.field('proxy-authorization') === undefined)).toBe(true);
  });

  test('a token that a reload takes away is not good for the next request', async () => {
    const { gateway, authority } = await secureScene(echo, sections);
    const client = await inside(gateway, authority, [`Proxy-Authorization: ${basicAuthorization(TOKEN)}`]);
    expect((await client.request('GET /allowed/1 HTTP/1.1', [`Host: ${authority}`])).status).toBe(200);
    await gateway.reload(sections.replace(TOKEN, 'another-token-of-a-caller'));
    const response = await client.request('GET /allowed/2 HTTP/1.1', [`Host: ${authority}`]);
    expect(response.status).toBe(407);
    expect(problem(response).code).toBe('caller_unknown');
    expect(await gateway.recorded(2)).toMatchObject({ outcome: 'refused', caller: null });
  });

  test('an absolute URL is fine when it names the tunnelled host, and refused when it does not', async () => {
    const { gateway, origin, authority } = await secureScene();
    const client = await inside(gateway, authority);
    expect(echoed(await client.request(`GET ${origin}/x?y HTTP/1.1`, [`Host: ${authority}`])).target).toBe('/x?y');
    for (const target of ['https://other.test/x', `http://${authority}/x`, 'https://api.test/x']) {
      expect(problem(await client.request(`GET ${target} HTTP/1.1`, [`Host: ${authority}`])).code).toBe('misdirected_request');
    }
    expect(problem(await client.request('OPTIONS * HTTP/1.1', [`Host: ${authority}`])).code).toBe('request_target_unsupported');
    expect(problem(await client.request(`CONNECT ${authority} HTTP/1.1`, [`Host: ${authority}`])).code).toBe('request_target_unsupported');
    expect((await client.request('GET /still-open HTTP/1.1', [`Host: ${authority}`])).status).toBe(200);
  });
});

describe('the inner authority', () => {
  test.each([
    ['another name', (port: number) => `other.test:${port}`, 421],
    ['a subdomain', (port: number) => `a.api.test:${port}`, 421],
    ['another port', (port: number) => `api.test:${port === 65535 ? 1 : port + 1}`, 421],
    ['the default port', () => 'api.test', 421],
    ['the same in capital letters', (port: number) => `API.TEST:${port}`, 200],
    ['the same with a trailing dot', (port: number) => `api.test.:${port}`, 200],
    ['no host at all', (port: number) => `:${port}`, 400],
    ['an address', (port: number) => `127.0.0.1:${port}`, 421],
  ])('is compared with the one of CONNECT: %s', async (_, host, status) => {
    const { gateway, upstream, authority } = await secureScene();
    const client = await inside(gateway, authority);
    const response = await client.request('GET /x HTTP/1.1', [`Host: ${host(upstream.port)}`]);
    expect(response.status).toBe(status);
    expect(upstream.requests).toHaveLength(status === 200 ? 1 : 0);
    expect(await gateway.recorded(1)).toMatchObject({ host: 'api.test', port: upstream.port, status });
  });

  test('is compared with the server name of the handshake as well', async () => {
    const { gateway, upstream, authority } = await secureScene();
    const tunnel = await connectThrough(gateway.forward, authority);
    const client = await secure(tunnel, { ca: gateway.caPem, servername: 'other.test', checkServerIdentity: () => undefined });
    expect(client.socket.getPeerCertificate().subjectaltname).toBe('DNS:api.test');
    expect(problem(await client.request('GET /x HTTP/1.1', [`Host: ${authority}`])).code).toBe('misdirected_request');
    expect(upstream.requests).toHaveLength(0);
  });

  test('may stay unsaid in the handshake', async () => {
    const { gateway, authority } = await secureScene();
    const client = await secure(await connectThrough(gateway.forward, authority), { ca: gateway.caPem, checkServerIdentity: () => undefined });
    expect((await client.request('GET /x HTTP/1.1', [`Host: ${authority}`])).status).toBe(200);
  });
});

describe('CONNECT', () => {
  test('to a host that nothing could ever be allowed for is refused before TLS', async () => {
    const { gateway } = await plainScene();
    const client = await rawClient(gateway.forward);
    const response = await client.request('CONNECT denied.example:443 HTTP/1.1', ['Host: denied.example:443']);
    expect(response.status).toBe(403);
    expect(problem(response)).toMatchObject({ code: 'policy_denied', hint: expect.stringContaining('"allow denied.example"') });
    expect(await gateway.recorded(1)).toMatchObject({
      outcome: 'refused',
      verdict: 'denied',
      method: 'CONNECT',
      host: 'denied.example',
      port: 443,
      path: '',
    });
    // The refused client may try another host on the same connection.
    expect((await client.request('CONNECT denied2.example:443 HTTP/1.1', ['Host: denied2.example:443'])).status).toBe(403);
  });

  test.each([
    ['a body', 'api.test:443', ['Content-Length: 3'], 'request_malformed'],
    ['a chunked body', 'api.test:443', ['Transfer-Encoding: chunked'], 'request_malformed'],
    ['no port', 'api.test', [], 'target_invalid'],
    ['port 99999', 'api.test:99999', [], 'target_invalid'],
    ['no host', ':443', [], 'target_invalid'],
    ['userinfo', 'user@api.test:443', [], 'target_invalid'],
    ['a URL', 'https://api.test:443', [], 'target_invalid'],
  ])('with %s is refused', async (_, authority, lines, code) => {
    const { gateway } = await plainScene();
    const client = await rawClient(gateway.forward);
    const response = await client.request(`CONNECT ${authority} HTTP/1.1`, ['Host: api.test:443', ...lines]);
    expect(response.status).toBe(400);
    expect(problem(response).code).toBe(code);
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'refused', error: code });
  });

  test('works when the client sends its handshake without waiting for the answer', async () => {
    const { gateway, authority } = await secureScene();
    const client = await rawClient(gateway.forward);
    client.write(Buffer.concat([Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`), await clientHello()]));
    expect((await client.reader.head())?.startLine).toMatch(/^HTTP\/1\.1 200 /);
    // A handshake record that holds a ServerHello (RFC 8446 §4, §5.1).
    const record = await client.reader.bytes(6);
    expect([record[0], record[5]]).toEqual([0x16, 2]);
  });

  test('carries plain HTTP as well, under the same rules', async () => {
    const { gateway, authority } = await plainScene();
    const client = await connectThrough(gateway.forward, authority);
    expect(echoed(await client.request('GET /x HTTP/1.1', [`Host: ${authority}`])).target).toBe('/x');
    expect((await client.request('GET /x HTTP/1.1', ['Host: other.test'])).status).toBe(421);
    expect(await gateway.recorded(1)).toMatchObject({ scheme: 'http', outcome: 'completed' });
  });

  test('does not make plain HTTP acceptable where only https:// may be called', async () => {
    const { gateway, authority } = await plainScene(echo, 'listeners: { forward: { port: 0, insecure_targets: false }, ops: { port: 0 } }');
    const client = await connectThrough(gateway.forward, authority);
    expect(problem(await client.request('GET /x HTTP/1.1', [`Host: ${authority}`])).code).toBe('insecure_target');
  });

  test('answers a request in the tunnel that cannot be read, and names its host in the record', async () => {
    const { gateway, authority } = await secureScene();
    const client = await inside(gateway, authority);
    client.write(`GET /x HTTP/1.1\r\nHost: ${authority}\r\nBad Header: x\r\n\r\n`);
    expect((await client.reader.response()).status).toBe(400);
    expect(await gateway.recorded(1)).toMatchObject({ error: 'request_malformed', host: 'api.test', caller: { name: 'here' } });
  });
});

describe('a client that does not trust the authority', () => {
  // Far beyond the patience of a test: its leaving has to be noticed, not its silence.
  const patient = 'timeouts: { tls_handshake: 5m }';

  test('leaves a record when it says so in the handshake', async () => {
    const { gateway, authority } = await secureScene(echo, patient);
    const tunnel = await connectThrough(gateway.forward, authority);
    tunnel.reader.detach();
    // An unknown protocol version is refused by our side; the alert of a client that refuses takes the same way.
    const socket = connectTls({ socket: tunnel.socket, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' });
    await once(socket, 'error');
    expect(await gateway.recorded(1)).toMatchObject({
      outcome: 'failed',
      error: 'client_tls_failed',
      host: 'api.test',
      method: 'CONNECT',
      upstreamAddress: null,
    });
  });

  test('leaves a record when it looks at the certificate after the handshake, as Node does', async () => {
    const { gateway, authority } = await secureScene(echo, patient);
    const tunnel = await connectThrough(gateway.forward, authority);
    await expect(secure(tunnel, { servername: 'api.test', ca: [] })).rejects.toMatchObject({ code: expect.stringMatching(/CERT|VERIFY|ISSUER/) });
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'client_tls_failed', host: 'api.test' });
  });

  test('leaves a record when it goes away in the middle of the handshake', async () => {
    const { gateway, authority } = await secureScene(echo, patient);
    const tunnel = await connectThrough(gateway.forward, authority);
    tunnel.write(Buffer.of(0x16, 3, 1, 0, 200, 1)).close();
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'client_tls_failed' });
  });
});

/** What a TLS client says first. */
async function clientHello(): Promise<Buffer> {
  const { port, sockets, stop } = await startUpstream(() => {});
  const socket = connectTls({ host: '127.0.0.1', port, servername: 'api.test' }).on('error', () => {});
  await once(socket, 'connect');
  while (sockets[0] === undefined) await new Promise((resolve) => setImmediate(resolve));
  const [hello] = (await once(sockets[0], 'data')) as [Buffer];
  socket.destroy();
  await stop();
  return hello;
}
