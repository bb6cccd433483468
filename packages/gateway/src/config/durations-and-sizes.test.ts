import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from './durations-and-sizes.js';

const durations = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes = { b: 1, kb: 1_024, mb: 1_048_576, gb: 1_073_741_824 };

describe.each([
  { what: 'durations', units: durations, parse: parseDuration, format: formatDuration },
  { what: 'sizes', units: sizes, parse: parseSize, format: formatSize },
])('$what', ({ units, parse, format }) => {
  test.each(Object.entries(units))('a number and %s', (unit, factor) => {
    fc.assert(fc.property(fc.nat(1_000_000), (number) => parse(`${number}${unit}`) === number * factor));
  });

  test('what is formatted is read back', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (value) => parse(format(value)) === value));
  });

  test('is formatted with the largest unit that leaves a whole number', () => {
    for (const [unit, factor] of Object.entries(units)) expect(format(3 * factor)).toBe(`3${unit}`);
    expect(format(0)).toMatch(/^0/);
  });

  test('any text is either refused or a whole, safe, non-negative number', () => {
    const nearly = fc.stringMatching(/^[-+ ]?[0-9.e_]{0,20} ?(ms|s|m|h|d|b|kb|mb|gb|KB|S)?\n?$/);
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearly), (text) => {
        const value = parse(text);
        return value === null || (Number.isSafeInteger(value) && value >= 0 && /^[0-9]+[a-z]+$/.test(text));
      }),
    );
  });

  test.each([
    '',
    '1',
    '1 s',
    ' 1s',
    '1s ',
    '1s\n',
    '-1s',
    '+1s',
    '1.5s',
    '1e3s',
    '01s',
    '1S',
    '1KB',
    '1w',
    's',
    'off',
    '１s',
    '999999999999999gb',
    '999999999999999d',
  ])('refuses %j', (text) => {
    expect(parse(text)).toBeNull();
  });
});
