import fc from 'fast-check';
import { expect, test } from 'vitest';
import { milliseconds, quoted } from './json-text.js';

const anyText = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ minLength: 30 }), fc.string({ unit: 'grapheme', minLength: 20 }));

/** The text, written in ASCII alone, that reads back as the same; plain ASCII exactly as JSON.stringify writes it. */
function isQuoted(text: string): boolean {
  const json = quoted(text);
  if (/^[ -~]*$/.test(text) && json !== JSON.stringify(text)) return false;
  return /^[ -~]*$/.test(json) && JSON.parse(json) === text;
}

test('A quoted text is JSON in ASCII for that text', () => {
  fc.assert(fc.property(anyText, isQuoted));
});

test('Every single character is quoted, in short and in long texts', () => {
  const wrong: number[] = [];
  for (let code = 0; code <= 0xffff; code++) {
    const character = String.fromCharCode(code);
    if (!isQuoted(character) || !isQuoted('a'.repeat(40) + character)) wrong.push(code);
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
