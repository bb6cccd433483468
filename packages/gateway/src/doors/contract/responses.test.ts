import { gzipSync } from 'node:zlib';
import type { Plugin } from '@sallyport/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Response } from '../../testing/message-reader.test.support.js';
import { problem, stopEverything } from '../../testing/scene.test.support.js';
import { reply, type Script } from '../../testing/scripted-upstream.test.support.js';
import { type Contract, contract, stopContracts } from './contract-scene.test.support.js';

const SECRET = 'tok-51Hx8CcKj9mQpLr7T';
const SENSITIVE = ['Authorization', 'Proxy-Authorization', 'Cookie', 'Set-Cookie', 'X-API-Key', 'X-Auth-Token'];

/** Gives every call a credential, and changes the responses of one vendor only. */
const plugin: Plugin = {
  getCredentials: () => ({ headers: { 'X-Acme-Key': SECRET }, expiresAt: Date.now() + 3_600_000 }),
  modifyResponse(context, response) {
    switch (context.vendorId) {
      case 'opens':
        return { skipErrorNormalization: true };
      case 'changes':
        response.status = 203;
        response.headers.set('X-Changed', 'yes');
        response.headers.set('Set-Cookie', 'of=the-plugin');
        response.body.replace('changed');
        return null;
      case 'makes an error':
        response.status = 418;
        return null;
      case 'fails':
        throw new Error('no');
      default:
        return null;
    }
  },
};

let scene: Contract;
beforeAll(async () => {
  scene = await contract({ plugin, keys: { 'observability.sensitive_headers': ['X-Internal', 'set-cookie'] } });
});
afterAll(async () => {
  await stopContracts();
  await stopEverything();
});

const answering = (script: Script, lines: readonly string[] = [], method = 'GET'): Promise<Response> => {
  scene.vendor.script = script;
  return scene.call('/', { lines, method });
};
const says =
  (text: string | Uint8Array): Script =>
  (_, socket) =>
    void socket.write(text);

describe('10.1 the static set', () => {
  test.each([...SENSITIVE, 'X-Internal'])('%s of a vendor never reaches the platform, in any case', async (name) => {
    const response = await answering(says(reply(200, 'ok', [`${name}: a`, `${name.toUpperCase()}: b`, 'X-Stays: c'])));
    expect([response.all(name), response.all('X-Stays')]).toEqual([[], ['c']]);
  });
});

describe('10.2 the dynamic set', () => {
  test('is the names that were injected', async () => {
    expect((await answering(says(reply(200, 'ok', ['x-acme-key: anything'])))).all('X-Acme-Key')).toEqual([]);
  });

  test.each(['Location: https://v.test/?k=', 'WWW-Authenticate: Bearer ', 'X-Echo: '])(
    'is their values too, wherever a field holds them: %s',
    async (field) => {
      const response = await answering(says(reply(401, 'no', [`${field}${SECRET}`])));
      expect(response.lines.join()).not.toContain(SECRET);
      expect(response.lines.join()).toContain(`${field}[secret]`);
    },
  );
});

describe('10.3 error normalization', () => {
  test.each([
    [400, 'Request rejected by upstream service'],
    [401, 'Request rejected by upstream service'],
    [404, 'Request rejected by upstream service'],
    [429, 'Request rejected by upstream service'],
    [500, 'Upstream service error'],
    [503, 'Upstream service error'],
    [599, 'Upstream service error'],
  ])('%i keeps its status and other fields, and gets exactly error, trace_id and status', async (status, error) => {
    const response = await answering(says(reply(status, 'a stack trace', ['Content-Type: text/html', 'Retry-After: 7'])), ['Connect-Request-ID: t']);
    expect([response.status, problem(response)]).toEqual([status, { error, trace_id: 't', status }]);
    expect([response.all('Content-Type'), response.all('Content-Length'), response.field('Retry-After')]).toEqual([
      ['application/json'],
      [String(response.body.length)],
      '7',
    ]);
  });

  test('takes the Content-Encoding, ETag and Digest of the old body away, which stay there', async () => {
    const body = gzipSync('a stack trace');
    const head = `HTTP/1.1 500 x\r\nContent-Encoding: gzip\r\nETag: "e"\r\nDigest: sha-256=x\r\nContent-Length: ${body.length}\r\n\r\n`;
    const response = await answering(says(Buffer.concat([Buffer.from(head), body])));
    expect([problem(response).status, response.field('Content-Encoding'), response.field('ETag'), response.field('Digest')]).toEqual([
      500,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('is for HEAD too, by its length', async () => {
    const response = await answering(says('HTTP/1.1 404 x\r\nContent-Length: 1000\r\n\r\n'), ['Connect-Request-ID: t'], 'HEAD');
    const length = JSON.stringify({ error: 'Request rejected by upstream service', trace_id: 't', status: 404 }).length;
    expect([response.status, response.field('Content-Length')]).toEqual([404, String(length)]);
  });

  test('keeps what the vendor said out of the log, where it is at debug there', async () => {
    await answering(says(reply(500, 'a stack trace with a customer')));
    expect(await scene.log()).not.toContain('a stack trace');
  });
});

describe('the plugin', () => {
  test('changes status, headers and body before anything is stripped', async () => {
    const response = await answering(says(reply(200, 'theirs')), ['X-Connect-Vendor-ID: changes']);
    expect([response.status, response.body.toString(), response.field('X-Changed'), response.all('Set-Cookie')]).toEqual([203, 'changed', 'yes', []]);
  });

  test('makes an error that is normalized like any other', async () => {
    const response = await answering(says(reply(200, 'theirs')), ['X-Connect-Vendor-ID: makes an error']);
    expect([response.status, problem(response).error]).toEqual([418, 'Request rejected by upstream service']);
  });

  test('lets the body of an error through, without what is sensitive', async () => {
    const response = await answering(says(reply(422, 'what was wrong', ['Set-Cookie: a=b', `X-Echo: ${SECRET}`])), ['X-Connect-Vendor-ID: opens']);
    expect([response.status, response.body.toString(), response.all('Set-Cookie'), response.field('X-Echo')]).toEqual([
      422,
      'what was wrong',
      [],
      '[secret]',
    ]);
  });

  test('that fails is logged, and the response goes on', async () => {
    const response = await answering(says(reply(200, 'theirs')), ['X-Connect-Vendor-ID: fails']);
    expect([response.status, response.body.toString()]).toEqual([200, 'theirs']);
    expect(await scene.log()).toContain('plugin_failed');
  });
});

describe('10.4 Server-Timing', () => {
  const timing = (response: Response): Record<string, number> => {
    const [value = ''] = response.all('Server-Timing');
    expect(value).toMatch(/^plugin;dur=\d+\.\d\d, upstream;dur=\d+\.\d\d, overhead;dur=\d+\.\d\d$/);
    return Object.fromEntries([...value.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, duration]) => [name, Number(duration)]));
  };

  test('replaces what the vendor says', async () => {
    const response = await answering(says(reply(200, 'ok', ['Server-Timing: db;dur=53'])));
    expect(response.all('Server-Timing')).toHaveLength(1);
    timing(response);
  });

  test.each([200, 404, 503])('is on what a vendor answers: %i', async (status) => {
    expect(timing(await answering(says(reply(status, 'x')))).upstream).toBeGreaterThan(0);
  });

  test('says 0.00 for a plugin that was not asked, and for a vendor that was not called', async () => {
    const plain = await contract();
    expect(timing(await plain.call('/')).plugin).toBe(0);
    expect(timing(await plain.call('https://not.listed/'))).toMatchObject({ plugin: 0, upstream: 0 });
  });

  test('counts a slow plugin as plugin, and the body of a slow vendor as nothing', async () => {
    let waited = 0;
    const slow = await contract({
      plugin: {
        async getCredentials() {
          const began = performance.now();
          while (performance.now() - began < 5) await new Promise((resolve) => setImmediate(resolve));
          waited = performance.now() - began;
          return null;
        },
      },
    });
    // Not a time that is asserted: what the header says is what was measured around the call.
    expect(timing(await slow.call('/')).plugin).toBeGreaterThanOrEqual(Math.floor(waited));
  });
});

describe('a vendor that breaks off in the middle', () => {
  test.each([
    ['a body with a length', 'Content-Length: 100\r\n\r\npart'],
    ['a body in chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n'],
  ])('of %s is passed on as that: never a whole 200 with JSON behind the part, as there', async (_, rest) => {
    for (const vendor of ['', 'opens']) {
      const recorded = scene.exchanges.length;
      const response = await answering(
        (_request, socket) => void socket.write(`HTTP/1.1 200 OK\r\n${rest}`, () => socket.destroy()),
        [`X-Connect-Vendor-ID: ${vendor}`],
      ).catch(() => null);
      if (response !== null) expect(response.complete).toBe(false);
      expect(response?.body.toString() ?? '').not.toContain('error');
      expect(await scene.recorded(recorded + 1)).toMatchObject({ outcome: 'failed', error: 'upstream_reset' });
    }
  });
});
