import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatPathPattern, intersectPatterns, parsePathPattern, pathSegments, patternMatches } from './path-pattern.js';

const aPattern = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '*'), { maxLength: 3 }), fc.boolean())
  .filter(([parts, tail]) => parts.length > 0 || tail)
  .map(([parts, tail]) => `/${[...parts, ...(tail ? ['**'] : [])].join('/')}`);
const aPath = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`);

function matches(pattern: string, path: string): boolean {
  const parsed = parsePathPattern(pattern);
  const segments = pathSegments(path);
  return parsed !== null && segments !== null && patternMatches(parsed, segments);
}

describe('path patterns', () => {
  test('parse what they format', () => {
    fc.assert(
      fc.property(aPattern, (text) => {
        const parsed = parsePathPattern(text);
        expect(parsed === null ? null : formatPathPattern(parsed)).toBe(text);
      }),
    );
  });

  test('meet in exactly the paths that both name', () => {
    fc.assert(
      fc.property(aPattern, aPattern, aPath, (left, right, path) => {
        const a = parsePathPattern(left);
        const b = parsePathPattern(right);
        const both = a === null || b === null ? null : intersectPatterns(a, b);
        expect(both !== null && matches(formatPathPattern(both), path)).toBe(matches(left, path) && matches(right, path));
      }),
      { numRuns: 1000 },
    );
  });

  test('never fail on any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        parsePathPattern(text);
        pathSegments(text);
        const parsed = parsePathPattern(`/${text}`);
        if (parsed !== null) expect(formatPathPattern(parsed)).toBe(`/${text}`);
      }),
    );
  });

  test.each([
    ['/repos/**', '/repos', true],
    ['/repos/**', '/repos/', true],
    ['/repos/**', '/repository', false],
    ['/repos/*', '/repos/a', true],
    ['/repos/*', '/repos/a/b', false],
    ['/**', '/', true],
    ['/', '/', true],
    ['/a', '/a/', false],
  ])('%s, %s: %s', (pattern, path, expected) => {
    expect(matches(pattern, path)).toBe(expected);
  });
});
