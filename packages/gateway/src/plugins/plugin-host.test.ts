import { inspect } from 'node:util';
import { SallyportError } from '@sallyport/sdk';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ask, closeHosts, contextOf, folderWith, hostOf, requestOf, troubles } from './plugin-fixtures.test.support.js';
import type { PluginHost, RequestForPlugin } from './plugin-host.js';

afterEach(closeHosts);

/** A plugin that does what the path says. */
const source = `
const expiresAt = () => Date.now() + 60_000;
const aborts = [];
const doings = {
  '/fast': () => ({ headers: { Authorization: 'Bearer hunter2', 'X-Tenant': 'acme' }, expiresAt: expiresAt() }),
  '/slow': async (context, request, { signal }) => {
    const body = await request.body.bytes();
    request.headers.set('X-Signature', body.length + ':' + context.vendorId + ':' + context.dataString('tenant') + ':' + signal.aborted);
    request.headers.delete('accept');
    request.url.searchParams.set('sig', '1');
    return null;
  },
  '/replace': (context, request) => { request.body.replace('instead'); },
  '/throw': () => { throw new Error('hunter2 leaked'); },
  '/throw-nothing': () => { throw undefined; },
  '/throw-text': () => { throw 'hunter2 leaked'; },
  '/reject': () => Promise.reject(new Error('hunter2 leaked')),
  '/reject-nothing': () => Promise.reject(),
  '/ours': () => {
    throw Object.assign(new Error('no tenant'), { name: 'SallyportError', code: 'context_data_missing', hint: 'h', members: { field: 'tenant' } });
  },
  '/not-ours': () => { throw Object.assign(new Error('x'), { name: 'SallyportError', code: 'config_invalid' }); },
  '/own-timeout': async () => {
    const signal = AbortSignal.timeout(1);
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    throw new Error('fetch failed', { cause: signal.reason });
  },
  '/hang': () => new Promise(() => {}),
  '/until-abort': (context, request, { signal }) =>
    new Promise((resolve, reject) =>
      signal.addEventListener('abort', () => {
        aborts.push(signal.reason.code);
        reject(signal.reason);
      }),
    ),
  '/lie': () => ({ headers: { 'X-Key': 'hunter2' }, expiresAt: new Date() }),
  '/lie-late': (context, request) => { request.url = new URL('https://evil.example/'); },
  '/set-host': (context, request) => { request.headers.set('Host', 'evil.example'); },
  '/aborts': () => ({ headers: { 'X-Aborts': aborts.join() }, expiresAt: expiresAt() }),
  '/swallow-body': async (context, request) => { await request.body.bytes().catch(() => {}); return { headers: {}, expiresAt: expiresAt() }; },
  '/forget-body': (context, request) => { void request.body.bytes(); return null; },
  '/late-body': (context, request) => new Promise(() => setTimeout(() => request.body.bytes().then(() => {}, () => {}), 50)),
};
export default {
  async getCredentials(context, request, options) { return doings[request.url.pathname](context, request, options); },
  modifyResponse(context, response) {
    if (response.status === 500) throw new Error('hunter2 leaked');
    response.headers.set('X-Seen', String(response.status));
    response.status = 202;
    return { skipErrorNormalization: true };
  },
  routeRequest({ vendorId }) { return vendorId === 'forward' ? { forwardTo: 'billing' } : vendorId === 'wrong' ? { forwardTo: '' } : null; },
  signCsr(csr) { return '-----BEGIN CERTIFICATE-----\\n' + csr + '\\n-----END CERTIFICATE-----'; },
  forwardReferences: () => ['billing'],
};
`;

const open = () => new AbortController().signal;

describe.each(['inline', 'worker'] as const)('a plugin, %s,', (isolation) => {
  const start = async (more: object = {}): Promise<PluginHost> => {
    const folder = await folderWith({ 'acme.mjs': source });
    return hostOf({ plugin: './acme.mjs', folder, isolation, ...more });
  };

  test('is known by its methods and references', async () => {
    const host = await start();
    expect(host.methods).toEqual(new Set(['getCredentials', 'signCsr', 'modifyResponse', 'routeRequest']));
    expect(host.forwardReferences).toEqual(['billing']);
  });

  test('gives a credential, ready to be written, that prints no value', async () => {
    const answer = await ask(await start(), '/fast');
    const { credential, changes } = answer;
    expect(credential?.fields.lines).toBe('Authorization: Bearer hunter2\r\nX-Tenant: acme\r\n');
    expect(credential?.fields.names).toEqual(['authorization', 'x-tenant']);
    expect(credential?.fields.values).toEqual(['Bearer hunter2']);
    expect(credential?.expiresAt).toBeGreaterThan(Date.now());
    expect(changes).toMatchObject({ path: null, query: null, bodyRead: null, replacement: null });
    expect(inspect(answer, { depth: 9, showHidden: true }) + JSON.stringify(answer)).not.toMatch(/hunter2|acme/);
  });

  test('changes a request in place, with its body and its context', async () => {
    const host = await start();
    const request = requestOf({ url: 'https://api.example.com/slow?a=%41' });
    const context = contextOf(request.url, { vendorId: 'v', data: { tenant: 't' } });
    const { credential, changes } = await host.getCredentials(context, request, open());
    expect(credential).toBeNull();
    expect(changes).toMatchObject({ path: null, query: '?a=A&sig=1', replacement: null });
    expect(Buffer.from(changes.bodyRead ?? []).toString()).toBe('hello');
    expect(changes.fields.lines).toBe('X-Signature: 5:v:t:false\r\n');
    expect(changes.fields.names).toEqual(['x-signature', 'accept']);
    expect(changes.fields.credentialNames).toEqual(['x-signature']);
  });

  test('replaces a body without reading it', async () => {
    const readBody = vi.fn<RequestForPlugin['readBody']>();
    const { changes } = await (await start()).getCredentials(contextOf(), requestOf({ url: 'https://h/replace', readBody }), open());
    expect(Buffer.from(changes.replacement ?? []).toString()).toBe('instead');
    expect(changes.bodyRead).toBeNull();
    expect(readBody).not.toHaveBeenCalled();
  });

  test('changes a response, routes, and signs', async () => {
    const host = await start();
    const response = { status: 404, headers: [['A', 'b']], readBody: () => Promise.resolve(new Uint8Array(0)) } as const;
    const { action, changes } = await host.modifyResponse(contextOf(), response, open());
    expect(action).toEqual({ skipErrorNormalization: true });
    expect(changes.status).toBe(202);
    expect(changes.fields.lines).toBe('X-Seen: 404\r\n');
    await expect(host.modifyResponse(contextOf(), { ...response, status: 500 }, open())).rejects.toMatchObject({ code: 'plugin_failed' });
    expect(await host.routeRequest(contextOf('https://h', { vendorId: 'forward' }), open())).toEqual({ forwardTo: 'billing' });
    expect(await host.routeRequest(contextOf(), open())).toBeNull();
    await expect(host.routeRequest(contextOf('https://h', { vendorId: 'wrong' }), open())).rejects.toMatchObject({ code: 'plugin_result_invalid' });
    expect(await host.signCsr('MA==', open())).toContain('\nMA==\n');
  });

  test.each(['/throw', '/throw-nothing', '/throw-text', '/reject', '/reject-nothing', '/not-ours', '/unknown'])(
    'fails with plugin_failed, its cause apart, and harms nobody else: %s',
    async (at) => {
      const host = await start();
      const [failed, other] = await Promise.allSettled([ask(host, at), ask(host, '/fast')]);
      expect(other.status).toBe('fulfilled');
      const error = (failed as PromiseRejectedResult).reason as SallyportError;
      expect(error).toBeInstanceOf(SallyportError);
      expect(error).toMatchObject({ code: 'plugin_failed', message: 'the plugin failed in getCredentials', members: { method: 'getCredentials' } });
      expect(error.cause).toBeDefined();
      if (at === '/throw') expect(String((error.cause as Error).stack)).toMatch(/hunter2 leaked[\s\S]*acme\.mjs/);
      expect(troubles).toEqual([]);
    },
  );

  test('keeps the code of one of our errors, from whichever copy of the SDK', async () => {
    await expect(ask(await start(), '/ours')).rejects.toMatchObject({
      code: 'context_data_missing',
      status: 400,
      message: 'no tenant',
      hint: 'h',
      members: { field: 'tenant' },
    });
  });

  test('whose own time limit runs out has timed out', async () => {
    await expect(ask(await start(), '/own-timeout')).rejects.toMatchObject({ code: 'plugin_timeout' });
  });

  test.each(['/lie', '/lie-late', '/set-host'])('that answers something invalid is told so: %s', async (at) => {
    const error = await ask(await start(), at).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'plugin_result_invalid' });
    expect(inspect(error)).not.toContain('hunter2');
  });

  test('that hangs is given up after its time, and the next request is not', async () => {
    const host = await start({ timeoutMs: 200 });
    const answers = await Promise.allSettled([ask(host, '/hang'), ask(host, '/until-abort')]);
    for (const answer of answers)
      expect(answer).toMatchObject({ reason: { code: 'plugin_timeout', status: 504, members: { method: 'getCredentials' } } });
    expect((await ask(host, '/fast')).credential).not.toBeNull();
    expect(troubles).toEqual([]);
  });

  test.each(['/hang', '/until-abort'])('is not waited for when the client has gone: %s', async (at) => {
    const host = await start();
    const client = new AbortController();
    const asked = ask(host, at, client.signal);
    const other = ask(host, '/fast');
    client.abort(new SallyportError('client_aborted'));
    await expect(asked).rejects.toMatchObject({ code: 'client_aborted' });
    await expect(ask(host, '/fast', client.signal)).rejects.toMatchObject({ code: 'client_aborted' });
    expect((await other).credential).not.toBeNull();
  });

  test('learns from its signal that nobody waits any more, and why', async () => {
    const host = await start({ timeoutMs: 200 });
    const client = new AbortController();
    const gone = ask(host, '/until-abort', client.signal);
    const timedOut = ask(host, '/until-abort');
    // Answered: so the two before it have begun.
    await ask(host, '/fast');
    client.abort(new SallyportError('client_aborted'));
    await Promise.allSettled([gone, timedOut]);
    expect((await ask(host, '/aborts')).credential?.fields.lines).toBe('X-Aborts: client_aborted,plugin_timeout\r\n');
  });

  test('learns that a body is too large, or broke off, and cannot hide it', async () => {
    const host = await start();
    const call = (at: string, readBody: () => Promise<Uint8Array>) =>
      host.getCredentials(contextOf(), requestOf({ url: `https://h${at}`, readBody }), open());
    for (const at of ['/slow', '/swallow-body', '/forget-body']) {
      await expect(call(at, () => Promise.resolve(new Uint8Array(1_001)))).rejects.toMatchObject({ code: 'body_too_large' });
      await expect(call(at, () => Promise.reject(new SallyportError('client_aborted')))).rejects.toMatchObject({ code: 'client_aborted' });
    }
    // Not waited for by the plugin, and still there for the upstream.
    expect((await call('/forget-body', () => Promise.resolve(Buffer.from('x')))).changes.bodyRead).toEqual(Buffer.from('x'));
  });

  test('cannot read a body after its call is over', async () => {
    const host = await start({ timeoutMs: 20 });
    const readBody = vi.fn<RequestForPlugin['readBody']>();
    await expect(host.getCredentials(contextOf(), requestOf({ url: 'https://h/late-body', readBody }), open())).rejects.toMatchObject({
      code: 'plugin_timeout',
    });
    // The plugin asks for the body 50 ms later; a call that hangs as long is over after that.
    for (let i = 0; i < 4; i++) await ask(host, '/hang').catch(() => {});
    expect(readBody).not.toHaveBeenCalled();
  });
});

test('a plugin without getCredentials changes nothing', async () => {
  const host = await hostOf({ plugin: { routeRequest: () => null } });
  expect(await ask(host)).toMatchObject({ credential: null, changes: { path: null, query: null } });
  await expect(host.signCsr('', open())).rejects.toMatchObject({ code: 'plugin_failed' });
});

test('a late rejection of a plugin is not an unhandled one', async () => {
  const unhandled = vi.fn<() => void>();
  process.on('unhandledRejection', unhandled);
  try {
    let reject: (error: Error) => void = () => {};
    const host = await hostOf({
      plugin: {
        getCredentials: () =>
          new Promise((_resolve, no) => {
            reject = no;
          }),
      },
    });
    const client = new AbortController();
    const asked = ask(host, '/', client.signal);
    client.abort();
    await expect(asked).rejects.toMatchObject({ code: 'client_aborted' });
    reject(new Error('late'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).not.toHaveBeenCalled();
  } finally {
    process.off('unhandledRejection', unhandled);
  }
});
