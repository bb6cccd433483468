// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what the configuration fills in.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { interpolate } from './interpolation.js';

const variables: Record<string, string> = { A: 'one', EMPTY: '', DOLLAR: '${A}', _x9: 'two' };
const fill = (text: string) => interpolate(text, (name) => variables[name]);

describe('fills in', () => {
  test.each([
    ['plain', 'plain', false, false],
    ['${A}', 'one', true, false],
    ['<${A}|${_x9}>', '<one|two>', true, false],
    ['${EMPTY}', '', true, false],
    ['${A:-other}', 'one', true, false],
    ['${EMPTY:-other}', 'other', true, true],
    ['${UNSET:-other}', 'other', true, true],
    ['${UNSET:-}', '', true, false],
    ['${UNSET:-a:-b $c {d}', 'a:-b $c {d', true, true],
    ['$${A}', '${A}', false, false],
    ['$${${A}', '${one', true, false],
    ['$A {A} $$ $', '$A {A} $$ $', false, false],
    ['${DOLLAR}', '${A}', true, false],
    ['Bearer {secret}', 'Bearer {secret}', false, false],
  ])('%s', (text, filled, any, defaulted) => {
    expect(fill(text)).toEqual({ ok: true, text: filled, filled: any, defaulted });
  });
});

describe('refuses', () => {
  test.each([
    ['${UNSET}', 'UNSET is not set'],
    ['${A', 'never closed'],
    ['${', 'never closed'],
    ['${}', 'expected ${NAME}'],
    ['${1A}', 'expected ${NAME}'],
    ['${A-b}', 'expected ${NAME}'],
    ['${ A }', 'expected ${NAME}'],
    ['${A:-${B}}', 'expected ${NAME}'],
    ['${secret}', '{secret}, without a $'],
  ])('%s', (text, message) => {
    const result = fill(text);
    expect(result).toMatchObject({ ok: false });
    expect(result.ok ? '' : result.message).toContain(message);
  });
});

test('a text without "${" is left alone, and an escaped one comes back', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!text.includes('${'));
      expect(fill(text)).toMatchObject({ ok: true, text, filled: false });
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.constantFrom('${', '}', 'A', '{', ':-', 'x'), { maxLength: 12 }), (parts) => {
      const text = parts.join('');
      expect(fill(text.split('${').join('$${'))).toMatchObject({ ok: true, text, filled: false });
    }),
  );
});

test('what a variable holds is never looked at again', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (before, held, after) => {
      fc.pre(!`${before}|${after}`.includes('$'));
      expect(interpolate(`${before}\${V}${after}`, () => held)).toMatchObject({ ok: true, text: before + held + after });
    }),
  );
});

test('any text ends in a text or a message', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('$', '{', '}', 'A', ':-', '-', ' ', '${', '$${'), { maxLength: 20 }), (parts) => {
      const result = fill(parts.join(''));
      expect(result.ok ? typeof result.text : typeof result.message).toBe('string');
    }),
  );
});
