import fc from 'fast-check';
import { expect, test } from 'vitest';
import { milliseconds, quoted } from './json-text.js';

const anyText = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ minLength: 30 }), fc.string({ unit: 'grapheme', minLength: 20 }));

test('A quoted text is what JSON.stringify makes of it', () => {
  fc.assert(fc.property(anyText, (text) => quoted(text) === JSON.stringify(text)));
});

test('Every single character is quoted as JSON.stringify does it, in short and in long texts', () => {
  const wrong: number[] = [];
  for (let code = 0; code <= 0xffff; code++) {
    const character = String.fromCharCode(code);
    const long = 'a'.repeat(40) + character;
    if (quoted(character) !== JSON.stringify(character) || quoted(long) !== JSON.stringify(long)) wrong.push(code);
  }
  expect(wrong).toEqual([]);
});

test('A duration is a JSON number, exact to the microsecond', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (duration) => {
      expect(JSON.parse(milliseconds(duration))).toBe(Math.round(duration * 1000) / 1000);
    }),
  );
});

test.each([
  [0, '0'],
  [0.0004, '0'],
  [0.0005, '0.001'],
  [0.05, '0.05'],
  [12.3456, '12.346'],
  [0.9999, '1'],
  [86_400_000, '86400000'],
])('%d milliseconds are written as %s', (duration, text) => {
  expect(milliseconds(duration)).toBe(text);
});
