import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Credential, type Plugin, SallyportError } from '../index.js';
import { answering, asking, bearer, changing, failing, never, TIMEOUT } from './broken-plugins.test.support.js';
import { type ContractOptions, contractChecks, routerChecks, verifyContract, verifyRouter } from './index.js';

describe('a plugin that keeps the contract', () => {
  const csr = '-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n';
  const fast: Plugin = {
    async getCredentials(context, _request, { signal }) {
      signal.throwIfAborted();
      const tenant = context.dataString('TenantID') ?? 'default';
      if (context.vendorId === '') throw new SallyportError('route_not_found', { detail: 'no vendor' });
      await Promise.resolve();
      return bearer(`token-of-${context.vendorId}-${tenant}`);
    },
    signCsr(text) {
      if (text !== csr) throw new Error('this is no certificate request');
      return '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
    },
    modifyResponse(_context, response) {
      response.headers.delete('x-internal');
      if (response.status === 500) response.status = 503;
      return response.status === 404 ? { skipErrorNormalization: true } : null;
    },
    routeRequest: (context) => (context.vendorId === 'other-vendor' ? { forwardTo: 'legacy' } : null),
    forwardReferences: () => ['legacy', 'unused'],
  };
  let minted = 0;
  const plugins: [string, Plugin, ContractOptions?][] = [
    [
      'the fast path, a signer, a modifier and a router',
      fast,
      { csr, contexts: [{ targetUrl: 'https://a.test/', vendorId: 'a' }], secrets: ['hidden'] },
    ],
    ['the same for calls that the kit makes up', fast],
    [
      'the slow path with a signature over the body',
      changing(async (request) => {
        const bytes = await request.body.bytes();
        request.headers.set('x-signature', String(bytes.length));
        request.headers.delete('accept');
        request.url.searchParams.set('signed', '1');
        request.body.replace(`${String(bytes.length)}!`);
      }),
    ],
    ['a new token every time', asking(() => bearer(`token-${minted++}`))],
    ['nothing to add', answering(null)],
    ['nothing but refusals', asking(() => Promise.reject(new Error('no')))],
    ['a fetch that fails', asking(() => Promise.reject(new TypeError('fetch failed', { cause: new Error('refused') })))],
    ['a target that it takes apart', asking((context) => bearer(`token-${new URL(context.targetUrl).hostname}`))],
    ['an end as soon as it is told to', asking((_context, _request, { signal }) => sleep(5, bearer('token-1'), { signal }))],
    [
      'a class with state',
      new (class {
        readonly #token = 'token-1';
        getCredentials(): Credential {
          return bearer(this.#token);
        }
      })(),
    ],
    ['only a signer', { signCsr: () => Promise.reject(new SallyportError('signing_not_configured')) }],
    ['only a modifier', { modifyResponse: () => null }],
    [
      'only a router, with errors',
      {
        routeRequest: () => {
          throw new Error('no');
        },
      },
    ],
  ];

  it.each(plugins)('passes with %s', async (_, plugin, options = {}) => {
    expect(await failing(plugin, options)).toEqual([]);
    await expect(verifyContract(plugin, { timeout: TIMEOUT, ...options })).resolves.toBeUndefined();
  });
});

describe('a plugin that never ends', () => {
  it('is waited for only once or twice, and fails', async () => {
    const failed = await failing({ getCredentials: () => never });
    expect(failed.map((text) => text.split(':')[0])).toEqual(['getCredentials answers in time', 'getCredentials stops when it is told to']);
  });
});

describe('a plugin that answers now this, now that', () => {
  it('fails every check that compares answers', async () => {
    let calls = 0;
    const failed = await failing(asking(() => (calls++ % 2 === 0 ? null : bearer('token-1'))));
    expect(failed.map((text) => text.split(':')[0])).toEqual([
      'getCredentials answers the same for the same context',
      'getCredentials may be called again with the same request',
      'getCredentials may be called many times at once',
    ]);
  });
});

describe('the kit', () => {
  it('leaves the listeners of the process as they were, also when checks run at the same time', async () => {
    const before = process.listeners('unhandledRejection');
    const checks = contractChecks(
      asking(() => Promise.reject(new Error('no'))),
      { timeout: TIMEOUT },
    );
    await Promise.all(checks.map(({ run }) => run()));
    expect(process.listeners('unhandledRejection')).toEqual(before);
    expect(before.length).toBeGreaterThan(0);
  });

  it('has a name of its own for each check', () => {
    const all: Plugin = { getCredentials: () => null, signCsr: () => '', modifyResponse: () => null, routeRequest: () => null };
    const names = contractChecks(all, { contexts: [], csr: 'x' }).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('verifies a router alone', async () => {
    await expect(verifyRouter({ routeRequest: () => null })).resolves.toBeUndefined();
    await expect(verifyRouter({ routeRequest: () => ({ forwardTo: '' }) })).rejects.toThrow(
      '1 of 10 checks failed:\n- routeRequest answers a forward target or null',
    );
    expect(routerChecks({ routeRequest: () => null }).every(({ name }) => !name.includes('getCredentials'))).toBe(true);
  });
});
