import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileGlob, globMatch } from './glob.js';

/** The definition as an expression for the engine of the language, which tries every way. */
function expression(pattern: string, separator: string): RegExp {
  const border = `[${separator}]`;
  const inside = `[^${separator}]`;
  const segments = pattern.split(separator);
  let source = '';
  for (const [i, segment] of segments.entries()) {
    if (segment === '**') {
      // Each segment is written with the separator in front of it; the first one has none.
      source += i === 0 ? `(?:${inside}*(?:${border}${inside}*)*)?` : `(?:${border}${inside}*)*`;
      continue;
    }
    source += i === 0 ? '' : border;
    source += segment.replace(/\*\*|\*|[^*]/g, (part) => {
      if (part === '*') return `${inside}+`;
      if (part === '**') return `(?:|[^]*(?:(?<=${border})|(?=${border})|$))`;
      return part.replace(/[.?[\]/]/, '\\$&');
    });
  }
  // Without a segment in front, the next one has no separator either.
  if (segments[0] === '**') {
    const rest = segments.slice(1).join(separator);
    return new RegExp(`${segments.length === 1 ? '' : `${expression(rest, separator).source}|`}^(?:${source})$`);
  }
  return new RegExp(`^(?:${source})$`);
}

/** The definition as a walk over segments, for patterns whose `**` are all whole segments. */
function walk(pattern: string, input: string, separator: string): boolean {
  const inSegment = (rest: string, text: string): boolean => {
    if (rest === '') return text === '';
    if (rest[0] !== '*') return text[0] === rest[0] && inSegment(rest.slice(1), text.slice(1));
    for (let taken = 1; taken <= text.length; taken++) if (inSegment(rest.slice(1), text.slice(taken))) return true;
    return false;
  };
  const across = (patterns: readonly string[], texts: readonly string[]): boolean => {
    if (patterns.length === 0) return texts.length === 0;
    if (patterns[0] === '**') return across(patterns.slice(1), texts) || (texts.length > 0 && across(patterns, texts.slice(1)));
    return texts.length > 0 && inSegment(patterns[0], texts[0]) && across(patterns.slice(1), texts.slice(1));
  };
  return across(pattern.split(separator), input.split(separator));
}

const separators = fc.constantFrom('/', '.');
const textOver = (separator: string, maxLength: number): fc.Arbitrary<string> => fc.string({ unit: fc.constantFrom('a', 'b', separator), maxLength });
const patternOver = (separator: string): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom('a', 'b', 'ab', separator, '*', '**', `${separator}**${separator}`, `**${separator}`, `${separator}**`), { maxLength: 7 })
    .map((parts) => parts.join(''));

describe('globMatch', () => {
  it.each([
    ['/v1/*', '/', ['/v1/a'], ['/v1/', '/v1', '/v1/a/b']],
    ['/v1/**', '/', ['/v1', '/v1/', '/v1/a/b'], ['/v12', '/v', '']],
    ['/**', '/', ['/', '/a', '/a/b/', ''], ['a']],
    ['**', '/', ['', '/', 'a', '/a/b'], []],
    ['/v1/', '/', ['/v1/'], ['/v1', '/V1/']],
    ['', '/', [''], ['/', 'a']],
    ['/v1/*/info', '/', ['/v1/u/info'], ['/v1//info', '/v1/a/b/info']],
    ['/a/**/b', '/', ['/a/b', '/a/x/y/b', '/a//b'], ['/a/xb', '/ab', '/a']],
    ['/v1/**/status', '/', ['/v1/status', '/v1/a/status'], ['/v1', '/v1/', '/v1/a']],
    ['/a/**/*', '/', ['/a/b', '/a/b/c'], ['/a', '/a/']],
    ['/a/*/**', '/', ['/a/b', '/a/b/', '/a/b/c'], ['/a', '/a/']],
    ['/**/x/**', '/', ['/x', '/a/x', '/x/b', '/a/x/b'], ['/ax', '/xb', '']],
    ['/**/**/x', '/', ['/x', '/a/b/x'], ['x', '/ax']],
    ['*.v.com', '.', ['a.v.com'], ['v.com', 'a.b.v.com', '.v.com']],
    ['**.v.com', '.', ['v.com', 'a.v.com', 'a.b.v.com'], ['av.com']],
    ['microsoft-*', '/', ['microsoft-365'], ['microsoft-', 'microsoft', 'microsoft-a/b']],
    ['*xy', '/', ['axy', 'xyxy'], ['xy', '/xy']],
    ['a*b*c', '/', ['aXbYc', 'abbbc'], ['abc', 'abXc', 'aXb/c']],
    ['*', '/', ['a'], ['', '/', 'a/b']],
    ['a**b', '/', ['ab', 'a/b', 'ax/b', 'a/x/b'], ['axb', 'a', 'a/xb']],
    ['a**/b', '/', ['a/b', 'ax/b', 'a/x/b'], ['ab', 'b', 'axb']],
    ['/v1**', '/', ['/v1', '/v12', '/v1/x', '/v12/x'], ['/v']],
    ['**ab', '/', ['ab', 'x/ab'], ['xab']],
    ['***', '/', ['a', 'a/b'], ['', 'a/']],
    ['[a]?{b}', '/', ['[a]?{b}'], ['a', '[a]b{b}']],
  ])('%s over %s', (pattern, separator, matching, other) => {
    expect(matching.filter((input) => !globMatch(pattern, input, separator))).toEqual([]);
    expect(other.filter((input) => globMatch(pattern, input, separator))).toEqual([]);
  });

  it('matches what its definition matches', () => {
    const cases = separators.chain((separator) =>
      fc.tuple(fc.constant(separator), patternOver(separator), fc.array(textOver(separator, 9), { minLength: 12, maxLength: 12 })),
    );
    fc.assert(
      fc.property(cases, ([separator, pattern, inputs]) => {
        const oracle = expression(pattern, separator);
        for (const input of inputs) expect([pattern, input, globMatch(pattern, input, separator)]).toEqual([pattern, input, oracle.test(input)]);
      }),
      { numRuns: 3000 },
    );
  });

  it('takes a whole double star for any number of segments', () => {
    const segment = fc.oneof(
      fc.constantFrom('**', '**', ''),
      fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 4 }).map((text) => text.replace(/\*+/g, '*')),
    );
    const cases = separators.chain((separator) =>
      fc.tuple(
        fc.constant(separator),
        fc.array(segment, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(separator)),
        fc.array(textOver(separator, 10), { minLength: 10, maxLength: 10 }),
      ),
    );
    fc.assert(
      fc.property(cases, ([separator, pattern, inputs]) => {
        for (const input of inputs)
          expect([pattern, input, globMatch(pattern, input, separator)]).toEqual([pattern, input, walk(pattern, input, separator)]);
      }),
      { numRuns: 3000 },
    );
  });

  it('knows what its matches begin and end with, and which pattern is a text', () => {
    fc.assert(
      fc.property(patternOver('/'), textOver('/', 9), (pattern, input) => {
        const glob = compileGlob(pattern, '/');
        expect(glob.literal).toBe(pattern.includes('*') ? null : pattern);
        if (!glob.matches(input)) return;
        expect([input.startsWith(glob.prefix), input.endsWith(glob.suffix)]).toEqual([true, true]);
      }),
      { numRuns: 3000 },
    );
    expect(compileGlob('/v1/users/**', '/')).toMatchObject({ prefix: '/v1/users', suffix: '' });
    expect(compileGlob('**.v.com', '.')).toMatchObject({ prefix: '', suffix: 'v.com' });
  });

  // A matcher that tries again would still be at it when the run is stopped.
  it('is not slowed down by patterns and inputs made to be tried again', () => {
    const letters = 'a'.repeat(100_000);
    expect(globMatch(`${'*a'.repeat(30)}b`, letters, '/')).toBe(false);
    expect(globMatch(`${'**a'.repeat(30)}b`, `${'/a'.repeat(50_000)}`, '/')).toBe(false);
    expect(globMatch(`${'/**/a'.repeat(30)}/b*`, '/a'.repeat(50_000), '/')).toBe(false);
    expect(globMatch(`${'*'.repeat(1001)}b`, letters.slice(0, 10_000), '/')).toBe(false);
  });

  it.each(['', '//', '*'])('refuses %j for a separator', (separator) => {
    expect(() => globMatch('a', 'a', separator)).toThrow(RangeError);
  });
});
