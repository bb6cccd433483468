import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { javaNonProxyHosts, mergeNoProxy } from './no-proxy.js';

describe('NO_PROXY', () => {
  test.each([
    [{}, ''],
    [{ NO_PROXY: '' }, ''],
    [{ NO_PROXY: 'a, b' }, 'a,b'],
    [{ no_proxy: 'a b' }, 'a,b'],
    [{ NO_PROXY: 'a,b', no_proxy: 'b,c' }, 'a,b,c'],
  ])('of %j is %j', (env, expected) => {
    expect(mergeNoProxy(env)).toBe(expected);
  });

  test('holds every entry of both, once, and nothing else', () => {
    const list = fc.array(fc.oneof(fc.domain(), fc.ipV4()));
    fc.assert(
      fc.property(list, list, (upper, lower) => {
        const merged = mergeNoProxy({ NO_PROXY: upper.join(','), no_proxy: lower.join(' ') });
        expect(merged === '' ? [] : merged.split(',')).toEqual([...new Set([...upper, ...lower])]);
      }),
    );
  });
});

test.each([
  ['', ''],
  ['*', '*'],
  ['a.example', 'a.example'],
  ['.a.example,*.b.example', 'a.example|*.a.example|b.example|*.b.example'],
  ['10.0.0.0/8,[::1],a.example:80', ''],
  ['127.0.0.1,localhost', '127.0.0.1|localhost'],
  ['x"y, ,a|b', ''],
])('Java is told of %j as %j', (noProxy, expected) => {
  expect(javaNonProxyHosts(noProxy)).toBe(expected);
});
