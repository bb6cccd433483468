import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  coversMatcher,
  formatNamespaceMatcher,
  intersectMatchers,
  intersectScopes,
  isInScope,
  matchesNamespace,
  type NamespaceMatcher,
  narrowScope,
  parseNamespaceMatcher,
  simplified,
} from './namespace-matcher.js';
import { isNamespacePath, lineageOf, nameOf, parentOf } from './namespace-path.js';
import { matcherOf, pathOf, scopeOf } from './namespaces.test.support.js';

/** What a matcher means, in the plainest words: the first segments are its segments. */
function oracle({ path, subtree }: NamespaceMatcher, namespace: string): boolean {
  const wanted = path.split('.');
  const given = namespace.split('.');
  if (given.length < wanted.length || (!subtree && given.length > wanted.length)) return false;
  return wanted.every((segment, index) => given[index] === segment);
}

describe('a path', () => {
  test.each(['root', 'root.a', 'root.0', 'root._x.y-', 'root.A_b-c.d', `root.${'a'.repeat(507)}`])('%s is one', (path) => {
    expect(isNamespacePath(path)).toBe(true);
  });

  test.each([
    '',
    'roo',
    'Root',
    'root.',
    '.root',
    'root..a',
    'root.-a',
    'root.a b',
    'root.ä',
    'root.a\n',
    'root.**',
    'root.*',
    'root/a',
    'root.%',
    `root.${'a'.repeat(508)}`,
  ])('%j is none', (path) => {
    expect(isNamespacePath(path)).toBe(false);
    expect(() => parseNamespaceMatcher(`${path}.x.**.**`)).toThrow(expect.objectContaining({ code: 'namespace_path_invalid', status: 400 }));
  });

  test('is read in a time that grows with its length', () => {
    expect(isNamespacePath(`root.${'a'.repeat(200_000)}!`)).toBe(false);
  });

  test('has a lineage from the root down to itself', () => {
    expect(lineageOf('root.a.b')).toEqual(['root', 'root.a', 'root.a.b']);
    expect([parentOf('root'), parentOf('root.a.b'), nameOf('root'), nameOf('root.a.b')]).toEqual([undefined, 'root.a', 'root', 'b']);
    fc.assert(
      fc.property(pathOf, (path) => {
        expect(lineageOf(path).at(-1)).toBe(path);
        expect(lineageOf(path).at(-2)).toBe(parentOf(path));
      }),
    );
  });
});

describe('a matcher', () => {
  test('matches what the plain words say', () => {
    fc.assert(
      fc.property(matcherOf, pathOf, (matcher, path) => {
        expect(matchesNamespace(matcher, path)).toBe(oracle(matcher, path));
      }),
    );
  });

  test('stops at dots: root.child.** does not match root.children', () => {
    const matcher = parseNamespaceMatcher('root.child.**');
    expect(['root.child', 'root.child.a', 'root.child.a.b'].every((path) => matchesNamespace(matcher, path))).toBe(true);
    expect(['root', 'root.children', 'root.child-a', 'root.child_a', 'root.chil'].some((path) => matchesNamespace(matcher, path))).toBe(false);
  });

  test.each(['**', '*', 'root.*', 'root.**.a', 'root**', 'other.**', '.**', 'root..**', 'root.a.*.**'])('%s is none', (text) => {
    expect(() => parseNamespaceMatcher(text)).toThrow(expect.objectContaining({ code: 'namespace_path_invalid' }));
  });

  test('is the text that it was read from', () => {
    fc.assert(
      fc.property(matcherOf, (matcher) => {
        expect(parseNamespaceMatcher(formatNamespaceMatcher(matcher))).toEqual(matcher);
      }),
    );
  });

  test('covers exactly those that match no more than it does', () => {
    // Of two different matchers over these segments, one of these paths tells them apart.
    const witnesses = (inner: NamespaceMatcher): readonly string[] =>
      [inner.path, `${inner.path}.a`, `${inner.path}.zz.z`].slice(0, inner.subtree ? 3 : 1);
    fc.assert(
      fc.property(matcherOf, matcherOf, (outer, inner) => {
        expect(coversMatcher(outer, inner)).toBe(witnesses(inner).every((path) => oracle(outer, path)));
      }),
    );
  });

  test('and another meet in what both match, whichever comes first', () => {
    fc.assert(
      fc.property(matcherOf, matcherOf, pathOf, (a, b, path) => {
        const both = intersectMatchers(a, b);
        expect(both !== undefined && oracle(both, path)).toBe(oracle(a, path) && oracle(b, path));
        expect(intersectMatchers(b, a)).toEqual(both);
      }),
    );
  });
});

describe('a scope', () => {
  test('meets another in what both match, and is the same without what is covered', () => {
    fc.assert(
      fc.property(scopeOf, scopeOf, pathOf, (a, b, path) => {
        expect(isInScope(intersectScopes(a, b), path)).toBe(isInScope(a, path) && isInScope(b, path));
        expect(isInScope(simplified(a), path)).toBe(isInScope(a, path));
        expect(simplified(simplified(a))).toEqual(simplified(a));
        expect(isInScope(a, path)).toBe(a.some((matcher) => oracle(matcher, path)));
      }),
    );
  });

  test('of a caller is narrowed, never replaced, by what the caller asks for', () => {
    const visible = [parseNamespaceMatcher('root.a.**')];
    expect(narrowScope(visible, undefined)).toEqual(visible);
    expect(narrowScope(visible, 'root.**')).toEqual(visible);
    expect(narrowScope(visible, 'root.a.b')).toEqual([{ path: 'root.a.b', subtree: false }]);
    expect(narrowScope(visible, 'root.b.**')).toEqual([]);
    expect(() => narrowScope(visible, '**')).toThrow(expect.objectContaining({ code: 'namespace_path_invalid' }));
  });
});
