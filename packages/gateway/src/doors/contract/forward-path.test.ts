import type { Plugin } from '@sallyport/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Response } from '../../testing/message-reader.test.support.js';
import { echoed, problem, stopEverything, upstreamAuthority } from '../../testing/scene.test.support.js';
import { echo, reply, type ScriptedUpstream, startUpstream } from '../../testing/scripted-upstream.test.support.js';
import { type Contract, contract, stopContracts } from './contract-scene.test.support.js';

const TOKEN = 'token-of-the-router-51Hx8';
const SENSITIVE = ['Authorization', 'Proxy-Authorization', 'Cookie', 'Set-Cookie', 'X-API-Key', 'X-Auth-Token'];

let asked: string[] = [];
/** Sends every call to the forward target that the platform names as its vendor. */
const plugin: Plugin = {
  routeRequest: ({ vendorId }) => (vendorId === '' ? null : { forwardTo: vendorId }),
  forwardReferences: () => ['router', 'open', 'gone', 'slow', 'old', 'foreign'],
  getCredentials() {
    asked.push('getCredentials');
    return null;
  },
  modifyResponse() {
    asked.push('modifyResponse');
    return null;
  },
};

let scene: Contract;
let router: ScriptedUpstream;
beforeAll(async () => {
  const trusted = await upstreamAuthority();
  router = await startUpstream(echo, trusted.serverFor('target.test'));
  const old = await startUpstream(echo, { ...trusted.serverFor('target.test'), maxVersion: 'TLSv1.2' });
  const foreign = await startUpstream(echo, trusted.serverFor('somebody.else'));
  const url = (port: number): string => `https://target.test:${port}/in/take%2Fthis?x=1`;
  scene = await contract({
    plugin,
    env: { ROUTER_TOKEN: TOKEN },
    keys: {
      'observability.sensitive_headers': ['X-Internal'],
      forward_targets: {
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration fills it in.
        router: { url: url(router.port), auth: { type: 'bearer', token: '${ROUTER_TOKEN}' } },
        open: { url: url(router.port), auth: { type: 'none', token: 'is left out' } },
        gone: { url: 'https://target.test:1/', auth: { type: 'none' } },
        slow: { url: url(router.port), timeout: '150ms', auth: { type: 'none' } },
        old: { url: url(old.port), auth: { type: 'none' } },
        foreign: { url: url(foreign.port), auth: { type: 'none' } },
      },
    },
  });
});
beforeEach(() => {
  asked = [];
  router.script = echo;
});
afterAll(async () => {
  await stopContracts();
  await stopEverything();
});

const forward = (target: string, lines: readonly string[] = [], body = ''): Promise<Response> =>
  scene.call('/of/the/vendor?q=1', { method: 'POST', body, at: '/proxy?z=1', lines: [`X-Connect-Vendor-ID: ${target}`, ...lines] });

describe('the request', () => {
  test('goes to exactly the configured URL, with its Host: path and query of the call are left out', async () => {
    const told = echoed(await forward('router'));
    expect([told.target, told.lines[0]]).toEqual(['/in/take%2Fthis?x=1', `Host: target.test:${router.port}`]);
    expect(scene.vendor.requests).toHaveLength(0);
  });

  test('keeps its method, body, context headers and correlation id', async () => {
    const told = echoed(
      await forward('open', ['X-Connect-Service-ID: s', 'X-Connect-Context-Data: e30=', 'Connect-Request-ID: t', 'X-A: b'], 'hello'),
    );
    expect(told).toMatchObject({ method: 'POST', length: 5 });
    expect(told.lines).toEqual(
      expect.arrayContaining([
        `X-Connect-Target-URL: ${scene.origin}/of/the/vendor?q=1`,
        'X-Connect-Vendor-ID: open',
        'X-Connect-Service-ID: s',
        'X-Connect-Context-Data: e30=',
        'Connect-Request-ID: t',
        'X-A: b',
      ]),
    );
  });

  test.each(SENSITIVE)('loses the %s of the platform, whatever the auth type', async (name) => {
    for (const target of ['router', 'open']) {
      const { lines } = echoed(await forward(target, [`${name}: of-the-platform`]));
      expect(lines.join()).not.toContain('of-the-platform');
    }
  });

  test('keeps the fields that only the operator calls sensitive', async () => {
    expect(echoed(await forward('open', ['X-Internal: stays'])).lines).toContain('X-Internal: stays');
  });

  test('has Authorization: Bearer with the token; with auth none, nothing', async () => {
    const authorization = async (target: string) => echoed(await forward(target)).lines.filter((line) => /^authorization/i.test(line));
    expect([await authorization('router'), await authorization('open')]).toEqual([[`Authorization: Bearer ${TOKEN}`], []]);
  });

  test('says in X-Forwarded-For who called', async () => {
    const { lines } = echoed(await forward('open'));
    expect(lines.filter((line) => /^x-forwarded-for/i.test(line)).at(-1)).toMatch(/^X-Forwarded-For: (.*, )?127\.0\.0\.1$/);
  });
});

describe('the plugin', () => {
  test('is asked where to, and for nothing else', async () => {
    await forward('open');
    expect(asked).toEqual([]);
    await scene.call('/');
    expect(asked).toEqual(['getCredentials', 'modifyResponse']);
  });
});

describe('the response', () => {
  test.each([200, 404, 500])('passes through, errors too: %i', async (status) => {
    router.script = (_, socket) => void socket.write(reply(status, 'theirs', ['Content-Type: text/x']));
    const response = await forward('router');
    expect([response.status, response.body.toString(), response.field('Content-Type')]).toEqual([status, 'theirs', 'text/x']);
  });

  test('loses the six static fields, and no others; the token does not come back anywhere', async () => {
    router.script = (_, socket) =>
      void socket.write(reply(200, 'ok', [...SENSITIVE.map((name) => `${name}: a`), 'X-Internal: stays', `X-Echo: ${TOKEN}`]));
    const response = await forward('router');
    for (const name of SENSITIVE) expect(response.all(name)).toEqual([]);
    expect([response.field('X-Internal'), response.field('X-Echo')]).toEqual(['stays', '[secret]']);
  });

  test('has the time of the target in Server-Timing as upstream, where it is overhead there', async () => {
    const [, upstream] = /upstream;dur=([\d.]+)/.exec((await forward('router')).field('Server-Timing') ?? '') ?? [];
    expect(Number(upstream)).toBeGreaterThan(0);
  });

  test('may take longer than the timeout once it has begun', async () => {
    let finish = (): void => {};
    router.script = (request, socket) => {
      if (request.method === 'POST') return new Promise(() => {});
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
      return new Promise((resolve) => {
        finish = () => {
          socket.write('cd');
          resolve();
        };
      });
    };
    const client = await scene.client();
    client.write(`GET /proxy HTTP/1.1\r\nHost: s\r\nX-Connect-Target-URL: ${scene.origin}/\r\nX-Connect-Vendor-ID: slow\r\n\r\n`);
    await client.reader.until('\r\n\r\nab');
    // Whoever waits for a head only has given up by the time that this one has.
    expect((await forward('slow')).status).toBe(502);
    finish();
    expect((await client.reader.bytes(2)).toString()).toBe('cd');
  });
});

describe('a target that cannot be used is 502 forward target unavailable', () => {
  test.each([
    ['nobody listens', 'gone', 'upstream_refused'],
    ['it speaks TLS 1.2 only', 'old', expect.stringMatching(/^upstream_tls/)],
    ['its certificate is for another name', 'foreign', 'upstream_tls_name_mismatch'],
  ])('%s', async (_, target, reason) => {
    const response = await forward(target);
    expect([response.status, problem(response)]).toMatchObject([
      502,
      { error: 'forward target unavailable', code: 'forward_target_unavailable', forward_target: target, reason },
    ]);
  });

  test('it does not begin to answer within its timeout', async () => {
    router.script = () => new Promise(() => {});
    expect(problem(await forward('slow'))).toMatchObject({ status: 502, error: 'forward target unavailable', reason: 'upstream_response_timeout' });
  });

  test('and the allow-list has decided about the vendor before, though the vendor is never called', async () => {
    const response = await scene.call('https://not.listed/', { lines: ['X-Connect-Vendor-ID: router'] });
    expect(problem(response)).toMatchObject({ status: 403, error: 'host not allowed' });
  });
});

describe('at the start it is refused when', () => {
  const auth = { type: 'none' };
  test.each<[string, object]>([
    ['there is no url', { auth }],
    ['the url is none', { url: 'not a url', auth }],
    ['the url has no host', { url: 'https://', auth }],
    ['the url is not https', { url: 'http://target.test/', auth }],
    ['there is no auth', { url: 'https://target.test/' }],
    ['the auth type is another', { url: 'https://target.test/', auth: { type: 'basic' } }],
    ['bearer has no token', { url: 'https://target.test/', auth: { type: 'bearer' } }],
    ['the token is empty', { url: 'https://target.test/', auth: { type: 'bearer', token: '' } }],
    ['the variable in the token is not set', { url: 'https://target.test/', auth: { type: 'bearer', token: '$NOT_SET_ANYWHERE' } }],
  ])('%s', async (_, target) => {
    await expect(contract({ keys: { forward_targets: { router: target } } })).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('forward_targets.router') as unknown,
    });
  });

  test('a router names a target that is not configured', async () => {
    await expect(contract({ plugin })).rejects.toMatchObject({ code: 'plugin_load_failed', message: expect.stringContaining('"router"') as unknown });
  });
});
