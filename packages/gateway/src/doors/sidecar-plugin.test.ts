import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { type Plugin, SallyportError } from '@sallyport/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import type { Response } from '../testing/message-reader.test.support.js';
import { rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply, type Script, startUpstream } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

const LATER = (): number => Date.now() + 3_600_000;
const bearer = (token: string, expiresAt = LATER()) => ({ headers: { Authorization: `Bearer ${token}` }, expiresAt });

let scene: Scene;

async function withPlugin(plugin: Plugin, script: Script = echo, sections = ''): Promise<void> {
  scene = await plainScene(script, sections, {}, { plugin });
}

async function call(path: string, lines: readonly string[] = [], { method = 'GET', body = '' } = {}): Promise<Response> {
  const client = await rawClient(scene.gateway.sidecar);
  const framing = body === '' ? [] : [`Content-Length: ${body.length}`];
  return client.request(`${method} /proxy HTTP/1.1`, ['Host: s', `X-Connect-Target-URL: ${scene.origin}${path}`, ...framing, ...lines], body);
}

describe('credentials', () => {
  test('are asked for once for each context and caller, replace what the client sent, and do not come back', async () => {
    const asked: string[] = [];
    await withPlugin(
      {
        getCredentials(context) {
          asked.push(`${context.vendorId} ${context.dataString('Region') ?? ''} ${context.targetUrl.slice(-2)}`);
          return bearer(`token-of-${context.vendorId}`);
        },
      },
      async (request, socket) => {
        const { body } = await request.body();
        socket.write(
          reply(200, JSON.stringify({ lines: request.lines, length: body.length }), ['Authorization: Bearer echoed', 'X-Echo: token-of-a']),
        );
      },
    );
    const region = `X-Connect-Context-Data: ${Buffer.from('{"Region":"eu"}').toString('base64')}`;
    for (let i = 0; i < 3; i++) {
      const response = await call('/a', ['X-Connect-Vendor-ID: a', region, 'Authorization: Bearer of-the-client', 'X-Connect-Service-ID: s']);
      const { lines } = echoed(response);
      expect(lines.filter((line) => /^(authorization|x-connect)/i.test(line))).toEqual(['Authorization: Bearer token-of-a']);
      expect(response.lines.filter((line) => /^(authorization|x-echo)/i.test(line))).toEqual(['X-Echo: [secret]']);
    }
    await call('/a', ['X-Connect-Vendor-ID: b', region]);
    expect(asked).toEqual(['a eu /a', 'b eu /a']);
    const { exchanges } = scene.gateway;
    expect(exchanges[0]).toMatchObject({ outcome: 'completed', credential: '(passed in)', injectedHeaders: ['authorization'] });
    expect(await scene.gateway.log()).not.toContain('token-of-a');
  });

  test('one request on the slow path is signed over its body, path and query, and asked for again the next time', async () => {
    let calls = 0;
    await withPlugin({
      async getCredentials(_context, request) {
        calls++;
        const body = await request.body.bytes();
        request.headers.set('X-Signature', createHmac('sha256', 'key').update(body).digest('hex'));
        request.url.searchParams.set('signed', 'yes');
        return null;
      },
    });
    for (const framing of [[], ['Transfer-Encoding: chunked']]) {
      const body = framing.length === 0 ? 'payload' : '';
      const client = await rawClient(scene.gateway.sidecar);
      const lines = ['Host: s', `X-Connect-Target-URL: ${scene.origin}/sign?a=b`, ...(body === '' ? framing : ['Content-Length: 7'])];
      const response = await client.request('POST /proxy HTTP/1.1', lines, body === '' ? '3\r\npay\r\n4\r\nload\r\n0\r\n\r\n' : body);
      const told = echoed(response);
      expect(told.target).toBe('/sign?a=b&signed=yes');
      expect(told.length).toBe(7);
      expect(told.lines).toContain(`X-Signature: ${createHmac('sha256', 'key').update('payload').digest('hex')}`);
      expect(told.lines).toContain('Content-Length: 7');
    }
    expect(calls).toBe(2);
    expect(scene.gateway.exchanges[0]).toMatchObject({ injectedHeaders: ['x-signature'], requestBytes: 7 });
  });

  test('a client that waits for 100 Continue is told when the plugin reads the body', async () => {
    await withPlugin({
      async getCredentials(_context, request) {
        request.body.replace(Buffer.from((await request.body.bytes()).map((byte) => byte ^ 0x20)));
        return null;
      },
    });
    const client = await rawClient(scene.gateway.sidecar);
    client.write(`POST /proxy HTTP/1.1\r\nHost: s\r\nX-Connect-Target-URL: ${scene.origin}/\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`);
    const answer = client.reader.response('POST');
    await once(client.socket, 'data');
    client.write('abc');
    const response = await answer;
    expect(response.interim).toHaveLength(1);
    const told = echoed(response);
    expect(told.length).toBe(3);
    expect(told.lines.join()).not.toMatch(/expect/i);
  });

  test.each<[string, Plugin['getCredentials'], number, string]>([
    ['throws', () => Promise.reject(new Error('the token is sk-12345678901234567890')), 500, 'plugin_failed'],
    ['answers nonsense', () => ({ headers: { 'X-A': 'b\r\nX-C: d' }, expiresAt: LATER() }), 500, 'plugin_result_invalid'],
    ['never answers', () => new Promise(() => {}), 504, 'plugin_timeout'],
    [
      'says who is at fault',
      () => {
        throw new SallyportError('mapping_not_found');
      },
      500,
      'mapping_not_found',
    ],
  ])('a plugin that %s fails its own request and no other, and says no more than that', async (_what, getCredentials, status, code) => {
    await withPlugin(
      {
        getCredentials: (context, request, options) =>
          context.vendorId === 'bad' ? (getCredentials?.(context, request, options) ?? null) : bearer('good'),
      },
      echo,
      'plugin: { timeout: 300ms }',
    );
    const [bad, good] = await Promise.all([call('/', ['X-Connect-Vendor-ID: bad']), call('/', ['X-Connect-Vendor-ID: good'])]);
    expect(bad.status).toBe(status);
    expect(problem(bad)).toMatchObject({ code, status, error: status === 504 ? 'Gateway Timeout' : 'Internal Server Error' });
    expect(good.status).toBe(200);
    expect(scene.upstream.requests).toHaveLength(1);
    expect(JSON.stringify([bad.body.toString(), await scene.gateway.log()])).not.toContain('sk-12345678901234567890');
  });

  test('a path that the plugin moved the request to is admitted like any other', async () => {
    await withPlugin(
      {
        getCredentials(_context, request) {
          request.url.pathname = '/admin';
          return null;
        },
      },
      echo,
      'policy: { rules: ["allow api.test:* * /v1/** to 127.0.0.1"] }',
    );
    const response = await call('/v1/x');
    expect(problem(response)).toMatchObject({ code: 'policy_denied', error: 'path not allowed' });
    expect(scene.upstream.requests).toHaveLength(0);
  });

  test('a client that leaves is not waited for', async () => {
    let asked = (): void => {};
    const called = new Promise<void>((resolve) => {
      asked = resolve;
    });
    await withPlugin({
      getCredentials: () => {
        asked();
        return new Promise(() => {});
      },
    });
    const client = await rawClient(scene.gateway.sidecar);
    client.write(`GET /proxy HTTP/1.1\r\nHost: s\r\nX-Connect-Target-URL: ${scene.origin}/\r\n\r\n`);
    await called;
    client.reset();
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'aborted', error: 'client_aborted', status: 0 });
  });
});

describe('after a 401', () => {
  test('the plugin is asked once more and the request is sent once more', async () => {
    let token = 0;
    await withPlugin({ getCredentials: () => bearer(`token-${++token}`) }, async (request, socket) => {
      await request.body();
      const accepted = request.lines.includes('Authorization: Bearer token-2');
      socket.write(reply(accepted ? 200 : 401, accepted ? 'in' : 'out'));
    });
    expect((await call('/')).status).toBe(200);
    expect((await call('/')).status).toBe(200);
    expect(scene.upstream.requests).toHaveLength(3);
    expect(token).toBe(2);
  });

  test('a request with a body is not sent again, and neither is one whose new credential is the old one', async () => {
    let calls = 0;
    await withPlugin(
      {
        getCredentials() {
          calls++;
          return bearer('same');
        },
      },
      async (request, socket) => {
        await request.body();
        socket.write(reply(401, 'out'));
      },
    );
    const refused = await call('/');
    expect(refused.status).toBe(401);
    expect(problem(refused)).toMatchObject({ error: 'Request rejected by upstream service', status: 401 });
    expect(calls).toBe(2);
    expect((await call('/', [], { method: 'POST', body: 'x' })).status).toBe(401);
    await call('/');
    expect(calls).toBe(2);
    expect(scene.upstream.requests).toHaveLength(3);
  });
});

describe('responses', () => {
  test('are changed in status, fields and body before they are sanitized', async () => {
    await withPlugin(
      {
        async modifyResponse(context, response) {
          const body = Buffer.from(await response.body.bytes()).toString();
          response.status = 202;
          response.headers.set('X-Vendor', context.vendorId);
          response.headers.delete('X-Gone');
          response.headers.set('Set-Cookie', 'of=plugin');
          response.body.replace(body.toUpperCase());
          return null;
        },
      },
      async (request, socket) => {
        await request.body();
        socket.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Gone: x\r\nETag: "1"\r\nX-Stays: y\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n',
        );
      },
    );
    const response = await call('/', ['X-Connect-Vendor-ID: acme']);
    expect(response.status).toBe(202);
    expect(response.body.toString()).toBe('ABCDEFG');
    const fields = response.lines.filter((line) => !/^(server-timing|connect-request-id)/i.test(line));
    expect(fields).toEqual(['X-Stays: y', 'x-vendor: acme', 'Content-Length: 7'].map((line) => expect.stringMatching(new RegExp(`^${line}$`, 'i'))));
  });

  test('that nobody looks into stream on as they came', async () => {
    await withPlugin(
      {
        modifyResponse(_context, response) {
          response.headers.set('X-Seen', 'yes');
          return null;
        },
      },
      async (request, socket) => {
        await request.body();
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
        await new Promise((resolve) => setImmediate(resolve));
        socket.write('4\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n');
      },
    );
    const response = await call('/');
    expect(response.body.toString()).toBe('abcdefg');
    expect(response.trailers).toEqual(['X-Trailer: t']);
    expect(response.lines.join()).toMatch(/x-seen: yes/i);
  });

  test('keep the body of an error only when the plugin says so, and go on as they are when it fails', async () => {
    await withPlugin(
      {
        modifyResponse(context) {
          if (context.vendorId === 'fails') throw new Error('no');
          return { skipErrorNormalization: context.vendorId === 'open' };
        },
      },
      async (request, socket) => {
        await request.body();
        socket.write(reply(422, 'what was wrong'));
      },
    );
    expect((await call('/', ['X-Connect-Vendor-ID: open'])).body.toString()).toBe('what was wrong');
    for (const vendor of ['closed', 'fails']) {
      const response = await call('/', [`X-Connect-Vendor-ID: ${vendor}`]);
      expect(response.status).toBe(422);
      expect(problem(response)).toMatchObject({ error: 'Request rejected by upstream service' });
    }
    expect(await scene.gateway.log()).toContain('plugin_failed');
  });

  test('longer than the limit fail the plugin and reach the client whole', async () => {
    const large = 'x'.repeat(70_000);
    await withPlugin(
      {
        async modifyResponse(_context, response) {
          response.body.replace((await response.body.bytes()).subarray(0, 1));
          return null;
        },
      },
      async (request, socket) => {
        await request.body();
        socket.write(reply(200, large));
      },
      'limits: { plugin_body: 32kb }',
    );
    const response = await call('/');
    expect(response.body.toString()).toBe(large);
  });

  test.each(['abc', ''])('that break off after %j break off for the client', async (part) => {
    await withPlugin({ modifyResponse: (_context, response) => response.body.bytes().then(() => null) }, async (request, socket) => {
      await request.body();
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n${part}`, () => socket.destroy());
    });
    expect((await call('/')).complete).toBe(false);
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_reset' });
  });

  test('without a body stay without one, whatever the plugin says', async () => {
    await withPlugin(
      {
        modifyResponse(_context, response) {
          response.body.replace('more');
          return null;
        },
      },
      async (request, socket) => {
        await request.body();
        socket.write('HTTP/1.1 204 No Content\r\n\r\n');
      },
    );
    const client = await rawClient(scene.gateway.sidecar);
    const lines = ['Host: s', `X-Connect-Target-URL: ${scene.origin}/`];
    for (let i = 0; i < 2; i++) expect((await client.request('GET /proxy HTTP/1.1', lines)).status).toBe(204);
  });
});

describe('forward targets', () => {
  test('get the call with its context, their own credential and their own path, and answer as they are', async () => {
    const router = await startUpstream(async (request, socket) => {
      const { body } = await request.body();
      socket.write(
        reply(418, JSON.stringify({ target: request.target, lines: request.lines, length: body.length }), ['Set-Cookie: s=t', 'X-A: router-token']),
      );
    });
    await withPlugin(
      {
        routeRequest: (context) => (context.vendorId === 'far' ? { forwardTo: 'router' } : null),
        forwardReferences: () => ['router'],
        getCredentials: () => bearer('of-the-vendor'),
      },
      echo,
      `forward_targets: { router: { url: "http://127.0.0.1:${router.port}/in?x=1", insecure: true, auth: { type: bearer, token: router-token } } }`,
    );
    const response = await call('/v1?q=1', ['X-Connect-Vendor-ID: far', 'Authorization: Bearer mine', 'Cookie: a=b', 'X-Connect-Extra: e'], {
      method: 'POST',
      body: 'hello',
    });
    expect(response.status).toBe(418);
    const told = echoed(response);
    expect(told.target).toBe('/in?x=1');
    expect(told.length).toBe(5);
    const kept = told.lines.filter((line) => /^(authorization|cookie|x-connect|x-forwarded|host)/i.test(line));
    expect(kept.sort()).toEqual(
      [
        'Authorization: Bearer router-token',
        `Host: 127.0.0.1:${router.port}`,
        'X-Connect-Extra: e',
        `X-Connect-Target-URL: ${scene.origin}/v1?q=1`,
        'X-Connect-Vendor-ID: far',
        'X-Forwarded-For: 127.0.0.1',
      ].sort(),
    );
    expect(response.lines.filter((line) => /^(set-cookie|x-a)/i.test(line))).toEqual(['X-A: [secret]']);
    expect(scene.gateway.exchanges[0]).toMatchObject({ forwardTarget: 'router', status: 418 });
    expect((await call('/v1', ['X-Connect-Vendor-ID: near'])).status).toBe(200);
  });

  test('that cannot be reached, or are not configured, are told apart for the operator and not for the platform', async () => {
    await withPlugin(
      { routeRequest: (context) => ({ forwardTo: context.vendorId }) },
      echo,
      'forward_targets: { gone: { url: "http://127.0.0.1:1/", insecure: true } }',
    );
    const gone = await call('/', ['X-Connect-Vendor-ID: gone']);
    expect([gone.status, problem(gone)]).toMatchObject([502, { code: 'forward_target_unavailable', error: 'forward target unavailable' }]);
    const unknown = await call('/', ['X-Connect-Vendor-ID: nowhere']);
    expect([unknown.status, problem(unknown)]).toMatchObject([500, { code: 'forward_target_unknown', error: 'internal configuration error' }]);
  });

  test('that a plugin names and nobody configured keep the gateway from starting', async () => {
    await expect(withPlugin({ routeRequest: () => null, forwardReferences: () => ['router'] })).rejects.toMatchObject({ code: 'plugin_load_failed' });
  });
});
