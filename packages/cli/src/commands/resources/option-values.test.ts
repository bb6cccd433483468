import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changedMap, countOption, mapOption, permissionOption } from './option-values.js';

const key = fc.string({ minLength: 1 }).filter((text) => !text.includes('='));

describe('key=value', () => {
  test('is cut at the first sign', () => {
    fc.assert(
      fc.property(key, fc.string(), (name, value) => {
        expect(Object.entries(mapOption(`${name}=${value}`, { other: 'x' }))).toContainEqual([name, value]);
      }),
    );
  });

  test.each(['', 'a', '=b'])('%j is none', (text) => expect(() => mapOption(text, undefined)).toThrow('key=value'));

  test('and key- change a map, whatever they are called', () => {
    const changes = fc.dictionary(key, fc.option(fc.string()), { noNullPrototype: true });
    fc.assert(
      fc.property(fc.dictionary(key, fc.string(), { noNullPrototype: true }), changes, (before, wanted) => {
        const words = Object.entries(wanted).map(([name, value]) => (value === null ? `${name}-` : `${name}=${value}`));
        const expected = new Map(Object.entries(before));
        for (const [name, value] of Object.entries(wanted)) {
          if (value === null) expected.delete(name);
          else expected.set(name, value);
        }
        expect(new Map(Object.entries(changedMap(before, words)))).toEqual(expected);
      }),
    );
  });

  test.each(['', '-', 'a', '=b'])('%j changes nothing', (text) => expect(() => changedMap({}, [text])).toThrow('neither'));
});

test('a permission is four words, the last of which may be left out', () => {
  expect(permissionOption('root.** actors,keys get', undefined)).toEqual([{ namespace: 'root.**', resources: ['actors', 'keys'], verbs: ['get'] }]);
  const before = permissionOption('root a b', undefined);
  expect(permissionOption(' root   a  b  x,y ', before)).toEqual([
    ...before,
    { namespace: 'root', resources: ['a'], verbs: ['b'], resource_ids: ['x', 'y'] },
  ]);
  for (const text of ['', 'root', 'root a', 'root a b c d']) expect(() => permissionOption(text, undefined)).toThrow('NAMESPACE RESOURCES VERBS');
});

test('a count is a number from 1 on', () => {
  expect(countOption('12')).toBe(12);
  for (const text of ['0', '-1', '1.5', '1e3', '', ' 1', '9999999999']) expect(() => countOption(text)).toThrow('number');
});
