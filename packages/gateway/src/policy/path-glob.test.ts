import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePathGlob, globSpecificity } from './path-glob.js';

/** The definition, word by word, with no thought for cost. */
function naive(glob: string, path: string): boolean {
  const segments = (text: string): string[] => text.slice(1).split('/');
  const inSegment = (pattern: string, text: string): boolean => {
    if (pattern === '') return text === '';
    if (pattern[0] !== '*') return text[0] === pattern[0] && inSegment(pattern.slice(1), text.slice(1));
    for (let taken = 1; taken <= text.length; taken++) if (inSegment(pattern.slice(1), text.slice(taken))) return true;
    return false;
  };
  const across = (patterns: string[], texts: string[]): boolean => {
    if (patterns.length === 0) return texts.length === 0;
    if (patterns[0] === '**') return across(patterns.slice(1), texts) || (texts.length > 0 && across(patterns, texts.slice(1)));
    return texts.length > 0 && inSegment(patterns[0], texts[0]) && across(patterns.slice(1), texts.slice(1));
  };
  return path.startsWith('/') && across(segments(glob), segments(path));
}

describe('compilePathGlob', () => {
  it.each([
    ['/', ['/'], ['', '//', '/a']],
    ['/v1', ['/v1'], ['/v1/', '/V1', '/v12', '/v']],
    ['/v1/', ['/v1/'], ['/v1', '/v1/a']],
    ['/v1/*', ['/v1/a', '/v1/a.b'], ['/v1/', '/v1', '/v1/a/b', '/v1/a/']],
    ['/v1/**', ['/v1', '/v1/', '/v1/a/b', '/v1//'], ['/v12', '/v', '/']],
    ['/**', ['/', '/a', '/a/', '//'], ['', '*', 'a']],
    ['/v1/*/info', ['/v1/u/info'], ['/v1//info', '/v1/a/b/info', '/v1/info']],
    ['/a/**/b', ['/a/b', '/a/x/b', '/a/x/y/b', '/a//b'], ['/a/xb', '/a', '/b', '/ab', '/a/b/c']],
    ['/v1/**/status', ['/v1/status', '/v1/x/status'], ['/v1', '/v1/', '/v1/x']],
    ['/a/**/*', ['/a/b', '/a/b/c'], ['/a', '/a/']],
    ['/a/*/**', ['/a/b', '/a/b/', '/a/b/c'], ['/a', '/a/']],
    ['/v1/cust*', ['/v1/customers', '/v1/custo'], ['/v1/cust', '/v1/cust/x', '/v1/acust']],
    ['/x*y*z', ['/x1y2z', '/xyyzz', '/xxyyzz'], ['/xyz', '/xyyz', '/x1y2z/', '/x1yz']],
    ['/*.json', ['/a.json', '/a.b.json'], ['/.json', '/a.json5']],
    ['/**/a/**/b/**', ['/a/b', '/x/a/y/b/z', '/a/a/b/b'], ['/b/a', '/a', '/ab']],
    ['/a/**/b/**/b', ['/a/b/b', '/a/x/b/y/b'], ['/a/b', '/a/b/c']],
    ['/files/[a]?{b}.$', ['/files/[a]?{b}.$'], ['/files/a', '/files/ab.x']],
  ])('%s', (glob, matching, other) => {
    const matches = compilePathGlob(glob);
    expect(matching.filter((path) => !matches(path))).toEqual([]);
    expect(other.filter((path) => matches(path))).toEqual([]);
  });

  it.each(['', 'v1', '*', '**', '/**a', '/a**', '/***', '/a/**b/c', '/****'])('refuses %j', (glob) => {
    expect(() => compilePathGlob(glob)).toThrow(SallyportError);
    expect(() => compilePathGlob(glob)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });

  it('matches what the definition says', () => {
    const globSegment = fc.oneof(
      fc.constant('**'),
      fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 5 }).map((text) => text.replace(/\*{2,}/g, '*')),
    );
    const glob = fc.array(globSegment, { minLength: 1, maxLength: 6 }).map((segments) => `/${segments.join('/')}`);
    const path = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 12 }).map((text) => `/${text}`);
    fc.assert(
      fc.property(glob, fc.array(path, { minLength: 10, maxLength: 10 }), (pattern, paths) => {
        const matches = compilePathGlob(pattern);
        for (const text of paths) expect([text, matches(text)]).toEqual([text, naive(pattern, text)]);
      }),
      { numRuns: 3000 },
    );
  });

  it('matches a path made from the glob', () => {
    const part = fc.constantFrom('a', 'bc', '');
    const segment = fc.oneof(
      part.map((text) => ({ glob: text, path: text })),
      fc.tuple(part, part, fc.constantFrom('x', 'yy', 'a')).map(([head, tail, star]) => ({ glob: `${head}*${tail}`, path: head + star + tail })),
      fc.constantFrom('/p', '/p/q', '').map((path) => ({ glob: '**', path: path === '' ? null : path.slice(1) })),
    );
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 8 }), (segments) => {
        const path = segments
          .flatMap((item) => item.path ?? [])
          .map((text) => `/${text}`)
          .join('');
        fc.pre(path !== '');
        expect(compilePathGlob(segments.map((item) => `/${item.glob}`).join(''))(path)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  // A matcher that tries again would still be at it when the run is stopped.
  it('is not slowed down by paths made to be tried again', () => {
    const deep = '/a'.repeat(100_000);
    expect(compilePathGlob(`${'/**/a'.repeat(20)}/b`)(deep)).toBe(false);
    expect(compilePathGlob(`/${'*a'.repeat(20)}b`)(`/${'a'.repeat(200_000)}`)).toBe(false);
    expect(compilePathGlob(`/**/${'*a'.repeat(10)}b/**`)(`/${'a'.repeat(100_000)}/${'a/'.repeat(50_000)}`)).toBe(false);
  });
});

describe('globSpecificity', () => {
  it('puts more literal characters first, then fewer wildcards', () => {
    const sorted = ['/v1/users/me', '/v1/users/*', '/v1/users/**', '/v1/*/me', '/v1/', '/v1/*', '/v1/**', '/', '/*', '/**'];
    expect([...sorted].sort((a, b) => globSpecificity(b) - globSpecificity(a))).toEqual(sorted);
  });
});
