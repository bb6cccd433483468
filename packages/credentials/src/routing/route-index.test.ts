import type { TransactionContext } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Overlaps } from './overlaps.js';
import { type CompiledRoute, compileRoute, mayOverlap, type Route, routeMatches, Subject } from './route.js';
import { RouteIndex } from './route-index.js';
import { call } from './routing.test.support.js';

function compiled(routes: readonly Route[]): CompiledRoute[] {
  return routes.map((route, i) => compileRoute(route, `routes[${i}]`));
}

function indexOf(routes: readonly CompiledRoute[]): RouteIndex<number> {
  const index = new RouteIndex<number>();
  for (const [i, route] of routes.entries()) index.add(route, i);
  return index;
}

/** The best route, looked for among all of them. */
function scan(routes: readonly CompiledRoute[], context: TransactionContext): number | null {
  const matching = routes.map((route, i) => ({ route, i })).filter(({ route }) => routeMatches(route, new Subject(context)));
  const most = (count: (route: CompiledRoute) => number): number => Math.max(...matching.map(({ route }) => count(route)));
  const specific = matching.filter(({ route }) => route.specificity === most((other) => other.specificity));
  const literals = Math.max(...specific.map(({ route }) => route.literals));
  return specific.find(({ route }) => route.literals === literals)?.i ?? null;
}

const word = fc.constantFrom('a', 'ab', 'b', 'a-1', 'b-1', '');
const glob = fc.constantFrom('a', 'ab', 'b', 'a-1', 'a*', 'a-*', '*b', '*-1', '*', '**', 'a*1', '');
const targetGlob = fc.constantFrom(
  '',
  'a.v.com',
  'a.v.com/x',
  'a.v.com/x/**',
  '*.v.com',
  '**.v.com/x/*',
  'https://a.v.com',
  'b.v.com:8443',
  '*.com:*/**',
  '*',
);
const target = fc.constantFrom(
  'https://a.v.com/x',
  'http://b.v.com/x/y',
  'https://b.v.com:8443',
  'https://v.com/x/y',
  'https://a.b.v.com/../x',
  'rubbish',
);
const routeOf = fc.record(
  {
    vendorId: glob,
    marketplaceId: glob,
    productId: glob,
    environmentId: glob,
    targetUrl: targetGlob,
    data: fc.dictionary(
      fc.constantFrom('x', 'y', '__proto__'),
      glob.filter((text) => text !== ''),
      { maxKeys: 2 },
    ),
  },
  { requiredKeys: [] },
);
const callOf = fc
  .record({
    vendorId: word,
    marketplaceId: word,
    productId: word,
    environmentId: word,
    targetUrl: target,
    data: fc.oneof(fc.constant(null), fc.dictionary(fc.constantFrom('x', 'y', '__proto__'), fc.oneof(word, fc.constant(1)))),
  })
  .map(call);

describe('RouteIndex', () => {
  it('finds what a search among all routes finds', () => {
    fc.assert(
      fc.property(fc.array(routeOf, { maxLength: 30 }), fc.array(callOf, { minLength: 8, maxLength: 8 }), (routes, calls) => {
        const list = compiled(routes);
        const index = indexOf(list);
        for (const context of calls) expect(index.find(context)).toBe(scan(list, context));
      }),
      { numRuns: 1500 },
    );
  });

  it('finds the same among many that share their ends', () => {
    const end = fc.constantFrom('a-*', 'a-b*', '*-a', '*-b', 'a*-b', 'b*', '*', 'a-b');
    const dense = fc.record(
      { vendorId: end, productId: end, targetUrl: targetGlob, data: fc.record({ x: end }, { requiredKeys: [] }) },
      { requiredKeys: [] },
    );
    const text = fc.constantFrom('a-b', 'a-', 'a-a', 'b-b', 'a-b-b', 'bb', '');
    const about = fc.record({ vendorId: text, productId: text, targetUrl: target, data: fc.record({ x: text }) }).map(call);
    fc.assert(
      fc.property(fc.array(dense, { minLength: 20, maxLength: 80 }), fc.array(about, { minLength: 8, maxLength: 8 }), (routes, calls) => {
        const list = compiled(routes);
        const index = indexOf(list);
        for (const context of calls) expect(index.find(context)).toBe(scan(list, context));
      }),
      { numRuns: 300 },
    );
  });

  it('may be added to after it was asked', () => {
    const index = new RouteIndex<string>();
    expect(index.find(call())).toBeNull();
    index.add(compileRoute({}, ''), 'any');
    expect(index.find(call({ vendorId: 'a' }))).toBe('any');
    index.add(compileRoute({ vendorId: 'a' }, ''), 'a');
    expect(index.find(call({ vendorId: 'a' }))).toBe('a');
  });

  it('is not confused by values that run into each other', () => {
    const index = indexOf(
      compiled([
        { vendorId: 'a\nb', productId: 'c' },
        { vendorId: 'a', productId: 'b\nc' },
      ]),
    );
    expect(index.find(call({ vendorId: 'a\nb', productId: 'c' }))).toBe(0);
    expect(index.find(call({ vendorId: 'a', productId: 'b\nc' }))).toBe(1);
    expect(index.find(call({ vendorId: 'a\nb\nc', productId: '' }))).toBeNull();
  });

  // Counted and not timed: of 10,000 routes a handful is compared with each call, whatever it is that tells them apart.
  it.each<[string, (i: number) => Route, (i: number) => TransactionContext]>([
    ['vendors', (i) => ({ vendorId: `v${i}` }), (i) => call({ vendorId: `v${i}` })],
    [
      'vendors and products',
      (i) => ({ vendorId: `v${i % 100}`, productId: `p${Math.floor(i / 100)}` }),
      (i) => call({ vendorId: `v${i % 100}`, productId: `p${Math.floor(i / 100)}` }),
    ],
    [
      'hosts',
      (i) => ({ environmentId: 'test', targetUrl: `api.v${i}.com/**` }),
      (i) => call({ environmentId: 'test', targetUrl: `https://api.v${i}.com/x` }),
    ],
    ['domains', (i) => ({ targetUrl: `*.v${i}.com` }), (i) => call({ targetUrl: `https://api.v${i}.com/x` })],
    ['paths', (i) => ({ targetUrl: `api.v.com/${i}/**` }), (i) => call({ targetUrl: `https://api.v.com/${i}/x` })],
    ['beginnings', (i) => ({ vendorId: `v${i}-*` }), (i) => call({ vendorId: `v${i}-x` })],
    ['endings behind a common beginning', (i) => ({ vendorId: `vendor-*-${i}` }), (i) => call({ vendorId: `vendor-x-${i}` })],
    [
      'beginnings beside a longer common end',
      (i) => ({ vendorId: `v-${i}-*`, targetUrl: '*.example.com/**' }),
      (i) => call({ vendorId: `v-${i}-eu`, targetUrl: 'https://api.example.com/x' }),
    ],
    [
      'pairs of globs',
      (i) => ({ vendorId: `v-${i % 100}-*`, targetUrl: `*.t${Math.floor(i / 100)}.example.com/**` }),
      (i) => call({ vendorId: `v-${i % 100}-eu`, targetUrl: `https://api.t${Math.floor(i / 100)}.example.com/x` }),
    ],
    [
      'vendors and domains, with two globs each',
      (i) => ({ productId: `p${i % 10}`, vendorId: `v-*-${Math.floor(i / 1000)}`, targetUrl: `*.t${Math.floor(i / 10) % 100}.example.com` }),
      (i) =>
        call({
          productId: `p${i % 10}`,
          vendorId: `v-x-${Math.floor(i / 1000)}`,
          targetUrl: `https://api.t${Math.floor(i / 10) % 100}.example.com/x`,
        }),
    ],
    ['data', (i) => ({ data: { tenant: `t${i}` } }), (i) => call({ data: { tenant: `t${i}` } })],
  ])('tells 10,000 %s apart without comparing them all', (_, routeFor, callFor) => {
    let compared = 0;
    const index = new RouteIndex<number>();
    for (const [i, route] of compiled(Array.from({ length: 10_000 }, (_unused, n) => routeFor(n))).entries()) {
      const conditions = route.conditions;
      const counted = {
        ...route,
        get conditions() {
          compared++;
          return conditions;
        },
      };
      index.add(counted, i);
    }
    expect(index.find(callFor(0))).toBe(0);
    compared = 0;
    for (const i of [1, 77, 5000, 9999]) expect(index.find(callFor(i))).toBe(i);
    expect(compared).toBeLessThanOrEqual(4 * 8);
  });
});

describe('Overlaps', () => {
  it('finds an equally specific route exactly when there is one that is not provably apart', () => {
    fc.assert(
      fc.property(fc.array(routeOf, { maxLength: 25 }), (routes) => {
        const list = compiled(routes);
        const overlaps = new Overlaps();
        for (const [i, route] of list.entries()) {
          const found = overlaps.add(route);
          const wanted = list
            .slice(0, i)
            .filter((other) => other.specificity === route.specificity && other.literals === route.literals && mayOverlap(other, route));
          if (wanted.length === 0) expect(found).toBeNull();
          else expect(wanted).toContain(found);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it('takes no two routes apart that match the same call', () => {
    const pair = fc.oneof(
      fc.tuple(
        fc.record({ vendorId: glob }),
        fc.record({ vendorId: glob }),
        word.map((vendorId) => call({ vendorId })),
      ),
      fc.tuple(
        fc.record({ targetUrl: targetGlob }),
        fc.record({ targetUrl: targetGlob }),
        target.map((targetUrl) => call({ targetUrl })),
      ),
    );
    fc.assert(
      fc.property(pair, ([a, b, context]) => {
        const [first, second] = compiled([a, b]);
        const subject = new Subject(context);
        if (routeMatches(first, subject) && routeMatches(second, subject)) expect(mayOverlap(first, second)).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });
});
