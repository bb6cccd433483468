import { describe, expect, it } from 'vitest';
import { type MuxConfig, mappingFromConfig, muxFromConfig } from './mux-from-config.js';
import { call, namedCredential, namedProvider, options, request } from './routing.test.support.js';

const providers = new Map([
  ['one', namedProvider('one')],
  ['two', namedProvider('two')],
]);

describe('muxFromConfig', () => {
  it('makes routes, forwards and a default of data', () => {
    const mux = muxFromConfig(
      {
        routes: [
          {
            match: { vendor_id: 'a', marketplace_id: '*', product_id: '*', environment_id: '*', target_url: '*.vendor.test/**', data: { x: 'y' } },
            provider: 'one',
          },
          { match: { vendor_id: 'b' }, forward: 'legacy' },
        ],
        default: { provider: 'two' },
      },
      providers,
    );
    const full = call({ vendorId: 'a', marketplaceId: 'm', productId: 'p', environmentId: 'e', data: { x: 'y' } });
    expect(mux.getCredentials(full, request, options)).toEqual(namedCredential('one'));
    expect(mux.getCredentials(call({ vendorId: 'a' }), request, options)).toEqual(namedCredential('two'));
    expect(mux.routeRequest(call({ vendorId: 'b' }))).toEqual({ forwardTo: 'legacy' });
    expect(mux.forwardReferences()).toEqual(['legacy']);
  });

  it('does without routes and without a default', () => {
    expect(() => muxFromConfig({ routes: [] }, providers).getCredentials(call(), request, options)).toThrow(
      expect.objectContaining({ code: 'route_not_found' }),
    );
  });

  it('warns as a mux does', () => {
    const warnings: string[] = [];
    const route = { match: { vendor_id: 'a' }, provider: 'one' };
    muxFromConfig({ routes: [route, route] }, providers, { onWarning: (message) => warnings.push(message) });
    expect(warnings).toHaveLength(1);
  });

  const good = { match: {}, provider: 'one' };
  it.each<[string, MuxConfig, string]>([
    ['neither provider nor forward', { routes: [good, { match: {} }] }, 'routes[1]: it needs a provider or a forward'],
    ['both', { routes: [good, { ...good, forward: 'x' }] }, 'routes[1]: it needs either a provider or a forward, not both'],
    [
      'an unknown provider',
      { routes: [good, { match: {}, provider: 'toString' }] },
      'routes[1]: there is no provider "toString"; there are "one", "two"',
    ],
    ['an empty forward', { routes: [good, { match: {}, forward: '' }] }, 'routes[1]: the name of the forward target is empty'],
    ['a target that cannot be read', { routes: [good, { ...good, match: { target_url: '/x' } }] }, 'routes[1]: the target "/x" cannot be read'],
    [
      'a misspelled field',
      { routes: [{ ...good, match: { vendorId: 'a' } as object }] },
      'routes[0]: match has a field "vendorId"; the fields are vendor_id,',
    ],
    ['no match', { routes: [{ provider: 'one' } as unknown as typeof good] }, 'routes[0]: match is not an object of fields'],
    ['a default that is a forward', { routes: [], default: { forward: 'legacy' } }, 'default: it cannot be a forward'],
    ['a default without anything', { routes: [], default: {} }, 'default: it needs a provider or a forward'],
    ['a default that is not there', { routes: [], default: { provider: 'three' } }, 'default: there is no provider "three"'],
  ])('refuses %s', (_, config, message) => {
    expect(() => muxFromConfig(config, providers)).toThrow(
      expect.objectContaining({ code: 'route_invalid', message: expect.stringContaining(message) as string }),
    );
  });

  it('says so when there are no providers at all', () => {
    expect(() => muxFromConfig({ routes: [good] }, new Map())).toThrow('routes[0]: there is no provider "one"; there are none');
  });
});

describe('mappingFromConfig', () => {
  it('makes a mapping of data', () => {
    const mapping = mappingFromConfig([{ match: { marketplace_id: 'us' }, key: 'tenant-us' }]);
    expect(mapping.resolveKey(call({ marketplaceId: 'us' }), options)).toBe('tenant-us');
    expect(() => mappingFromConfig([{ match: { market: 'us' } as object, key: 'k' }])).toThrow('rules[0]: match has a field "market"');
  });
});
