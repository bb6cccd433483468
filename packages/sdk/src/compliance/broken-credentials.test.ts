import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { MutableRequest, Plugin } from '../index.js';
import { answering, asking, bearer, changing, failing, lengthOf, never } from './broken-plugins.test.support.js';
import type { ContractOptions } from './index.js';

describe('a plugin that breaks the contract of getCredentials in one place', () => {
  let previous = '';
  const requests = new WeakSet<MutableRequest>();
  const future = Date.now() + 3_600_000;
  const expiry = 'a credential expires in the future';
  const fields = 'a credential has header fields that can be sent';
  const changes = 'getCredentials changes only what may be changed in a request';
  const shape = 'getCredentials answers a credential or null';
  const alone = 'a credential depends on nothing but the context';

  it.each<[check: string, detail: string, Plugin, ContractOptions?]>([
    ['a plugin has methods', 'none of the methods', {}],
    ['a plugin has methods', 'none of the methods', { forwardReferences: () => [] }],
    ['a plugin has methods', 'not an object', (() => ({})) as unknown as Plugin],
    ['a plugin has methods', 'not an object', null as unknown as Plugin],
    ['a plugin has methods', 'signCsr is not a function', { signCsr: 'yes' } as unknown as Plugin],

    ['getCredentials answers in time', 'within 100 ms', asking(async (_context, _request, { signal }) => sleep(60_000, null, { signal }))],
    [
      'getCredentials answers the calls that it knows',
      'contexts[0]',
      asking(() => Promise.reject(new Error('no'))),
      { contexts: [{ targetUrl: 'https://a.test/' }] },
    ],
    [shape, 'undefined', answering(undefined)],
    [shape, 'type string', answering('Bearer token-1')],
    [shape, 'no object headers', answering({ Authorization: 'Bearer token-1' })],
    [shape, 'no plain object', answering({ headers: new Headers({ a: 'b' }), expiresAt: future })],
    [shape, 'no expiresAt', answering({ headers: { a: 'token-1' }, expires_at: future })],
    [expiry, 'is a Date', answering(bearer('token-1', { expiresAt: new Date(future) as unknown as number }))],
    [expiry, 'NaN', answering(bearer('token-1', { expiresAt: Number.NaN }))],
    [expiry, 'Infinity', answering(bearer('token-1', { expiresAt: Number.POSITIVE_INFINITY }))],
    [expiry, 'is 0', answering(bearer('token-1', { expiresAt: 0 }))],
    [expiry, 'in the past', answering(bearer('token-1', { expiresAt: Date.now() - 1000 }))],
    [expiry, 'multiply by 1000', answering(bearer('token-1', { expiresAt: Math.floor(future / 1000) }))],
    [expiry, 'type string', answering(bearer('token-1', { expiresAt: '2040-01-01' as unknown as number }))],
    [expiry, 'null', answering(bearer('token-1', { expiresAt: null as unknown as number }))],
    [fields, 'headers is empty', answering(bearer('', { headers: {} }))],
    [fields, 'X Key', answering(bearer('', { headers: { 'X Key': 'token-1' } }))],
    [fields, 'line break', answering(bearer('token\r\nx: y'))],
    [fields, 'line break', answering(bearer('tok€n'))],
    [fields, 'white space', answering(bearer(''))],
    [fields, 'is empty', answering(bearer('', { headers: { 'X-Key': '' } }))],
    [fields, 'type number', answering(bearer('', { headers: { 'X-Key': 1 as unknown as string } }))],
    [fields, 'twice', answering(bearer('', { headers: { 'X-Key': 'token-1', 'x-key': 'token-1' } }))],
    ['a credential leaves alone the header fields of the gateway', 'Host', answering(bearer('', { headers: { Host: 'vendor.test' } }))],
    [
      'getCredentials answers a credential or changes the request, not both',
      'did both',
      asking((_context, request) => {
        request.headers.set('x-more', '1');
        return bearer('token-1');
      }),
    ],
    [changes, 'scheme, user, host, port', changing((request) => void Object.assign(request.url, { host: 'elsewhere.test' }))],
    [changes, 'scheme, user, host, port', changing((request) => void Object.assign(request, { url: new URL(`https://user@${request.url.host}/`) }))],
    [changes, 'content-length', changing((request) => request.headers.set('Content-Length', '1'))],
    [changes, 'bytes of the body', changing(async (request) => void (await request.body.bytes()).fill(0))],
    ['getCredentials leaves the context as it is', 'changed', changing((_request, context) => void Object.assign(context, { vendorId: 'x' }))],
    ['getCredentials leaves the context as it is', 'changed', changing((_request, { data }) => void Object.assign(data ?? {}, { seen: true }))],
    [alone, 'trace id', asking(({ traceId }) => bearer(`token-${traceId}`))],
    [alone, 'with the request', asking((_context, { method }) => bearer(`token-${method}`))],
    [alone, 'with the request', asking(async (_context, { body }) => bearer(`token-${(await body.bytes()).join('')}`))],

    [
      'getCredentials stops when it is told to',
      'still running',
      asking((_context, _request, { signal }) => (signal.aborted ? never : bearer('token-1'))),
    ],
    [
      'getCredentials stops when it is told to',
      'crashed (TypeError) when its signal',
      asking((_context, _request, { signal }) => bearer(signal.aborted ? String(lengthOf(undefined)) : 'token-1')),
    ],
    ['getCredentials takes a call that says nothing', 'TypeError', asking(({ vendorId }) => bearer(`token-${lengthOf(/-vendor$/.exec(vendorId))}`))],
    [
      'getCredentials takes context data of any type',
      'TypeError',
      asking(({ data }) => bearer(`token-${typeof data?.TenantID === 'undefined' ? '' : (data.TenantID as string).toUpperCase()}`)),
    ],
    [
      'getCredentials may be called again with the same request',
      'then an error',
      changing((request) => {
        if (requests.has(request)) throw new Error('seen');
        requests.add(request);
      }),
    ],
    [
      'getCredentials may be called many times at once',
      'another credential',
      asking(async ({ subscriptionId, vendorId }) => {
        previous = subscriptionId + vendorId;
        await Promise.resolve();
        await Promise.resolve();
        return bearer(`token-${previous}`);
      }),
    ],
  ])('fails «%s», saying %s', async (check, detail, plugin, options) => {
    const failed = await failing(plugin, options);
    expect(failed.map((text) => text.slice(0, check.length + 2))).toEqual([`${check}: `]);
    expect(failed[0]).toContain(detail);
    expect(failed[0]).not.toMatch(/token-|dXNl/);
  });
});
