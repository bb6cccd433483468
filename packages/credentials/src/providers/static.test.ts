import { Secret, TransactionContext } from '@sallyport/sdk';
import { expect, test, vi } from 'vitest';
import { staticProvider } from './static.js';

const context = new TransactionContext({ targetUrl: 'https://api.example' });

test('every call gets the same header fields, for an hour or as long as said', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_000 });
  const headers = { Authorization: new Secret('Bearer x'), 'X-Tenant': new Secret('t') };
  const given = { Authorization: 'Bearer x', 'X-Tenant': 't' };
  const ask = async (options: { ttlMs?: number }): Promise<unknown> =>
    await staticProvider({ headers, ...options }).getCredentials(context, {} as never, { signal: new AbortController().signal });
  expect(await ask({})).toEqual({ headers: given, expiresAt: 3_601_000 });
  expect(await ask({ ttlMs: 5 })).toEqual({ headers: given, expiresAt: 1_005 });
  vi.useRealTimers();
});

test.each([
  [{}, {}],
  [{ 'a b': 'x' }, {}],
  [{ Host: 'x' }, {}],
  [{ 'Proxy-Authorization': 'x' }, {}],
  [{ A: '' }, {}],
  [{ A: 'a\r\nsecret: 1' }, {}],
  [{ A: ' secret' }, {}],
  [{ A: 'secret €' }, {}],
  [{ A: 'secret' }, { ttlMs: 0 }],
  [{ A: 'secret' }, { ttlMs: Number.POSITIVE_INFINITY }],
])('%j %j is refused without quoting a value', (values, options) => {
  const headers = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, new Secret(value)]));
  expect(() => staticProvider({ headers, ...options })).toThrow(
    expect.objectContaining({ code: 'config_invalid', message: expect.not.stringContaining('secret') }),
  );
});
