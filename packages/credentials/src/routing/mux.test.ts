import { SallyportError } from '@sallyport/sdk';
import { describe, expect, it } from 'vitest';
import { asPlugin } from './as-plugin.js';
import { Mux } from './mux.js';
import type { Route } from './route.js';
import { call, namedCredential, namedProvider, options, request } from './routing.test.support.js';

/** The name of the provider that the call gets its credential from, or the code of the error. */
function chosen(mux: Mux, fields: Parameters<typeof call>[0]): string {
  try {
    const credential = mux.getCredentials(call(fields), request, options);
    if (credential === null || credential instanceof Promise) throw new Error('the providers of these tests answer at once');
    return credential.headers.Authorization;
  } catch (error) {
    return error instanceof SallyportError ? error.code : String(error);
  }
}

function muxOf(...routes: Route[]): Mux {
  const mux = new Mux();
  for (const [i, route] of routes.entries()) mux.handle(route, namedProvider(`route ${i}`));
  return mux;
}

function warningsOf(...routes: Route[]): unknown[] {
  const warnings: unknown[] = [];
  const mux = new Mux({ onWarning: (message, fields) => warnings.push([message, fields]) });
  for (const route of routes) mux.handle(route, namedProvider('any'));
  return warnings;
}

describe('the choice of a route', () => {
  it('takes every field of a route for a condition', () => {
    const mux = muxOf({
      vendorId: 'acme',
      marketplaceId: 'us-*',
      productId: '*',
      environmentId: 'test',
      targetUrl: '*.vendor.test/v1/**',
      data: { tenant: 't-*' },
    });
    const fields = {
      vendorId: 'acme',
      marketplaceId: 'us-1',
      productId: 'p',
      environmentId: 'test',
      targetUrl: 'https://a.vendor.test/v1/x',
      data: { tenant: 't-1' },
    };
    expect(chosen(mux, fields)).toBe('route 0');
    for (const other of [
      { vendorId: 'Acme' },
      { marketplaceId: 'us-' },
      { productId: '' },
      { environmentId: 'tests' },
      { targetUrl: 'https://a.vendor.test/v2' },
      { data: null },
      { data: { tenant: 1 } },
    ]) {
      expect([other, chosen(mux, { ...fields, ...other })]).toEqual([other, 'route_not_found']);
    }
  });

  it('matches every call with a route without fields, and with none better', () => {
    const mux = muxOf({}, { vendorId: '', data: {} }, { vendorId: 'a' });
    expect(chosen(mux, {})).toBe('route 0');
    expect(chosen(mux, { vendorId: 'a' })).toBe('route 2');
  });

  it('prefers more fields and data entries, then more of them literal, then the first', () => {
    const mux = muxOf(
      { vendorId: 'a' },
      { vendorId: 'a*' },
      { vendorId: 'a*', productId: '*' },
      { vendorId: 'a', productId: 'p*' },
      { vendorId: 'a*', data: { x: '*', y: '*' } },
      { vendorId: '**' },
      { vendorId: 'b*' },
      { vendorId: '*1' },
    );
    expect(chosen(mux, { vendorId: 'a' })).toBe('route 0');
    expect(chosen(mux, { vendorId: 'ab' })).toBe('route 1');
    expect(chosen(mux, { vendorId: 'ab', productId: 'p1' })).toBe('route 2');
    expect(chosen(mux, { vendorId: 'a', productId: 'p1' })).toBe('route 3');
    expect(chosen(mux, { vendorId: 'ab', productId: 'p1', data: { x: '1', y: '2' } })).toBe('route 4');
    expect(chosen(mux, { vendorId: 'b1' })).toBe('route 5');
    expect(chosen(muxOf({ vendorId: 'b*' }, { vendorId: '*1' }), { vendorId: 'b1' })).toBe('route 0');
  });

  it.each([[null], [{}], [{ tenant: '' }], [{ tenant: 1 }], [{ tenant: null }], [{ tenant: ['a'] }], [{ toString: 'x' }]])(
    'finds no text in the data %j',
    (data) => {
      expect(chosen(muxOf({ data: { tenant: '**' } }), { data })).toBe('route_not_found');
    },
  );

  it('does not take what every object has for data', () => {
    expect(chosen(muxOf({ data: { constructor: '**' } }), { data: {} })).toBe('route_not_found');
    expect(chosen(muxOf({ data: { constructor: '**' } }), { data: { constructor: 'x' } })).toBe('route 0');
  });
});

describe('Mux', () => {
  it('gives the rest to the default', async () => {
    const mux = muxOf({ vendorId: 'a' });
    mux.default({ getCredentials: () => Promise.resolve(namedCredential('default')) });
    expect(chosen(mux, { vendorId: 'a' })).toBe('route 0');
    expect(await mux.getCredentials(call(), request, options)).toEqual(namedCredential('default'));
    expect(mux.routeRequest(call())).toBeNull();
  });

  it('forwards when the best route is a forward, and never asks the default instead', () => {
    const mux = muxOf({ vendorId: 'a', productId: 'p' });
    mux.handleForward({ vendorId: 'a' }, 'legacy');
    mux.handleForward({ vendorId: 'b' }, 'legacy');
    mux.handleForward({ vendorId: 'c' }, 'other');
    mux.default(namedProvider('default'));
    expect(mux.routeRequest(call({ vendorId: 'a' }))).toEqual({ forwardTo: 'legacy' });
    expect(mux.routeRequest(call({ vendorId: 'a', productId: 'p' }))).toBeNull();
    expect(mux.routeRequest(call({ vendorId: 'x' }))).toBeNull();
    expect(chosen(mux, { vendorId: 'a' })).toBe('forward_unexpected');
    expect(mux.forwardReferences()).toEqual(['legacy', 'other']);
    expect(new Mux().forwardReferences()).toEqual([]);
  });

  it('says which call it has nothing for', () => {
    const mux = muxOf();
    mux.handle({ vendorId: 'b' }, null);
    expect(() => mux.getCredentials(call({ vendorId: 'a\n', data: { secret: 'hidden' } }), request, options)).toThrow(
      expect.objectContaining({ code: 'route_not_found', message: 'no route matched; the call has vendorId "a\\n"' }),
    );
    expect(() => mux.getCredentials(call(), request, options)).toThrow('the call names no vendor, marketplace, product or environment');
    expect(() => mux.getCredentials(call({ vendorId: 'b' }), request, options)).toThrow(
      expect.objectContaining({ code: 'provider_missing', message: 'credential action has nil provider; the call has vendorId "b"' }),
    );
  });

  it('passes on to its signer and its response modifier, and does without', async () => {
    const mux = new Mux();
    const response = { status: 200, headers: new Headers(), body: request.body };
    expect(() => mux.signCsr('csr', options)).toThrow(expect.objectContaining({ code: 'signing_not_configured' }));
    expect(mux.modifyResponse(call(), response, options)).toBeNull();
    mux.signer = { signCsr: (csr) => `signed ${csr}` };
    mux.responseModifier = { modifyResponse: () => Promise.resolve({ skipErrorNormalization: true }) };
    expect(mux.signCsr('csr', options)).toBe('signed csr');
    expect(await mux.modifyResponse(call(), response, options)).toEqual({ skipErrorNormalization: true });
  });

  it.each<[string, (mux: Mux) => void, string]>([
    ['an unknown field', (mux) => mux.handle({ vendorID: 'a' } as Route, null), 'routes[1] has a field "vendorID"; the fields are vendorId,'],
    ['a field that is no text', (mux) => mux.handle({ vendorId: 1 } as unknown as Route, null), 'routes[1]: vendorId is not a text'],
    ['a route that is no object', (mux) => mux.handle(null as unknown as Route, null), 'routes[1] is not an object of fields'],
    ['data that is no object', (mux) => mux.handle({ data: ['a'] } as unknown as Route, null), 'routes[1]: data is not an object of texts'],
    ['data that is no text', (mux) => mux.handle({ data: { a: true } } as unknown as Route, null), 'routes[1]: data.a is not a text'],
    ['empty data', (mux) => mux.handle({ data: { a: '' } }, null), 'routes[1]: data.a is empty; "**" is any text'],
    ['a forward target without a name', (mux) => mux.handleForward({}, ''), 'routes[1]: the name of the forward target is empty'],
    ['a provider that is none', (mux) => mux.handle({}, {} as unknown as null), 'routes[1]: the provider has no method getCredentials'],
    ['a default that is none', (mux) => mux.default(undefined as unknown as never), 'the default: the provider has no method getCredentials'],
  ])('refuses %s and stays as it was', (_, register, message) => {
    const mux = muxOf({ vendorId: 'a' });
    expect(() => register(mux)).toThrow(expect.objectContaining({ code: 'route_invalid', message: expect.stringContaining(message) as string }));
    expect(chosen(mux, { vendorId: 'a' })).toBe('route 0');
    expect(chosen(mux, {})).toBe('route_not_found');
  });
});

describe('the warning of routes that may overlap', () => {
  it('names both routes, once for each registration', () => {
    expect(warningsOf({ vendorId: 'a*' }, { vendorId: '*b' }, { vendorId: '*' })).toEqual([
      [
        'routes registered with equal specificity may overlap, first registered wins on tie',
        { existing_route: { vendorId: 'a*' }, new_route: { vendorId: '*b' } },
      ],
      [
        'routes registered with equal specificity may overlap, first registered wins on tie',
        { existing_route: { vendorId: 'a*' }, new_route: { vendorId: '*' } },
      ],
    ]);
  });

  it.each<[string, Route, Route]>([
    ['no field in common', { vendorId: 'a' }, { productId: 'p' }],
    ['the same texts', { vendorId: 'a' }, { vendorId: 'a' }],
    ['different data', { data: { x: 'a' } }, { data: { y: 'a' } }],
    ['the same host in two spellings', { targetUrl: 'https://A.v.com/x' }, { targetUrl: 'a.v.com:443/x' }],
    ['nothing at all', {}, {}],
  ])('comes with %s', (_, a, b) => expect(warningsOf(a, b)).toHaveLength(1));

  it.each<[string, Route, Route]>([
    ['different texts', { vendorId: 'a', productId: '*' }, { vendorId: 'b', productId: '*' }],
    ['a different number of fields', { vendorId: 'a' }, { vendorId: 'a', productId: 'p' }],
    ['a text before a glob', { vendorId: 'a' }, { vendorId: '*' }],
    ['globs that begin differently', { vendorId: 'a-*' }, { vendorId: 'b-*' }],
    ['globs that end differently', { targetUrl: '*.a.com' }, { targetUrl: '*.b.com' }],
    ['different ports', { targetUrl: '*.a.com:1' }, { targetUrl: '*.a.com:2' }],
    ['different schemes', { targetUrl: 'http://*.a.com' }, { targetUrl: 'https://*.a.com' }],
    ['different data of the same name', { data: { x: 'a' } }, { data: { x: 'b' } }],
  ])('stays away with %s', (_, a, b) => expect(warningsOf(a, b)).toEqual([]));

  it('is about forwards too', () => {
    const warnings: string[] = [];
    const mux = new Mux({ onWarning: (message) => warnings.push(message) });
    mux.handle({ vendorId: 'a' }, null);
    mux.handleForward({ vendorId: 'a' }, 'legacy');
    expect(warnings).toHaveLength(1);
  });
});

describe('asPlugin', () => {
  it('makes a whole plugin of a provider', () => {
    const plugin = asPlugin(namedProvider('one'));
    expect(plugin.getCredentials(call(), request, options)).toEqual(namedCredential('one'));
    expect(() => plugin.signCsr('', options)).toThrow(expect.objectContaining({ code: 'signing_not_configured' }));
    expect(plugin.modifyResponse(call(), { status: 200, headers: new Headers(), body: request.body }, options)).toBeNull();
  });
});
