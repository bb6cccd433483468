import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCleanPath, pathForms } from './path-forms.js';

describe('pathForms', () => {
  it.each(['/', '/a', '/a/', '/v1/users/42', '/a..b/...', '/.well-known/x', '/a./.b', '/~u/@me:(1),2$&=+!'])('takes %j as it is', (path) => {
    expect(isCleanPath(path)).toBe(true);
    expect(pathForms(path)).toEqual([path]);
  });

  it.each([
    ['/a%20b', '/a b', '/a b'],
    ['/%61', '/a', '/a'],
    ['/a%2Fb', '/a%2Fb', '/a/b'],
    ['/a%2fb', '/a%2Fb', '/a/b'],
    ['/a%252fb', '/a%2Fb', '/a/b'],
    ['/a%25252fb', '/a%2Fb', '/a/b'],
    ['/a//b', '/a/b', '/a/b'],
    ['//', '/', '/'],
    ['/a/%2F/b', '/a/%2F/b', '/a/b'],
    ['/a\\b', '/a/b', '/a/b'],
    ['/a%5Cb', '/a/b', '/a/b'],
    ['/a;v=1/b;w', '/a/b', '/a/b'],
    ['/a%3Bv=1/b', '/a/b', '/a/b'],
    ['/;x/a', '/a', '/a'],
    ['/100%25', '/100%', '/100%'],
    ['/100%25zz', '/100%zz', '/100%zz'],
    ['/caf%C3%A9', '/caf\u00c3\u00a9', '/caf\u00c3\u00a9'],
  ])('reads %j in three ways', (path, kept, split) => {
    expect(pathForms(path)).toEqual([path, kept, split]);
  });

  it.each([
    '/.',
    '/..',
    '/./a',
    '/a/..',
    '/a/../b',
    '/%2e%2e/a',
    '/a/%2E./b',
    '/a%2f..%2fb',
    '/a%2f%2e%2e',
    '/%252e%252e/a',
    '/%25252e/a',
    '/a\\..\\b',
    '/a%5c..%5cb',
    '/..;x/a',
    '/a/..%3Bx/b',
    '/.;/a',
    '/a%00',
    '/a%0a',
    '/a%7f',
    '/a%2500',
    '/a\u0000b',
    '/a%',
    '/a%4',
    '/a%zz',
    '/a%u002e',
    '/a%25u002e%25u002e/b',
    '/%25252561',
    '/%25252525',
    '/%c0%ae%c0%ae/a',
    '/a%c0%afb',
    '/%e0%80%ae/a',
    '/%f0%80%80%ae/a',
  ])('finds %j ambiguous', (path) => {
    expect(pathForms(path)).toBeNull();
  });

  it('takes a path for clean exactly when no reading changes it', () => {
    const path = fc
      .string({ unit: fc.constantFrom('a', '/', '.', '%', '2', 'e', 'F', '\\', ';', ' ', '\u0001', 'é'), maxLength: 10 })
      .map((text) => `/${text}`);
    fc.assert(
      fc.property(path, (text) => {
        const isClean = !/[%\\;\u0000-\u0020\u007f-\uffff]|\/\/|\/\.{1,2}(?:\/|$)/.test(text);
        expect(isCleanPath(text)).toBe(isClean);
        if (isClean) expect(pathForms(text)).toEqual([text]);
      }),
      { numRuns: 3000 },
    );
  });

  it('finds a dot segment however it is wrapped', () => {
    const encode = (text: string): string => [...text].map((character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
    const layers: readonly ((text: string) => string)[] = [encode, (text) => text.replaceAll('%', '%25')];
    const layer = fc.constantFrom(...layers);
    const dots = fc
      .tuple(fc.constantFrom('.', '..'), fc.array(layer, { maxLength: 3 }))
      .map(([text, wraps]) => wraps.reduce<string>((inner, wrap) => wrap(inner), text));
    const separator = fc.constantFrom('/', '%2f', '\\', '%5C', '%252F');
    fc.assert(
      fc.property(dots, separator, separator, (segment, before, after) => {
        expect(pathForms(`/a${before}${segment}${after}b`)).toBeNull();
        expect(pathForms(`/a${before}${segment}`)).toBeNull();
        expect(pathForms(`/a${before}${segment};p=1${after}b`)).toBeNull();
      }),
    );
  });

  it('leaves nothing to normalise in its normalised forms', () => {
    const path = fc.string({ unit: fc.constantFrom('a', '/', '%', '2', '5', 'F', '\\', ';', '.'), maxLength: 12 }).map((text) => `/${text}`);
    fc.assert(
      fc.property(path, (text) => {
        const forms = pathForms(text);
        if (forms === null || forms.length === 1) return;
        expect(forms).toHaveLength(3);
        expect(forms[0]).toBe(text);
        for (const form of forms.slice(1)) expect(form).not.toMatch(/\\|;|\/\/|(?:^|\/)\.{1,2}(?:\/|$)/);
        expect(forms[1].replace(/%2F/g, '')).not.toMatch(/%[0-9a-f]{2}/i);
        expect(forms[2]).not.toMatch(/%[0-9a-f]{2}/i);
      }),
      { numRuns: 3000 },
    );
  });
});
