import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTraceparent, isZero, parseTraceparent } from './trace-parent.js';

const digits = (length: number) => fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const id = (length: number) => digits(length).filter((text) => !isZero(text));

test('the example of the specification', () => {
  expect(parseTraceparent('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')).toEqual({
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    sampled: true,
    random: false,
  });
});

test('what was written is read back', () => {
  fc.assert(
    fc.property(id(32), id(16), fc.boolean(), fc.boolean(), (traceId, spanId, sampled, random) => {
      const parent = { traceId, spanId, sampled, random };
      expect(parseTraceparent(formatTraceparent(parent))).toEqual(parent);
    }),
  );
});

describe('versions', () => {
  test('that come later are read as far as they have the form of the first', () => {
    fc.assert(
      fc.property(digits(2), id(32), id(16), digits(2), fc.string(), (version, traceId, spanId, flags, rest) => {
        const known = parseTraceparent(`${version}-${traceId}-${spanId}-${flags}`);
        expect(known === null).toBe(version === 'ff');
        const more = parseTraceparent(`${version}-${traceId}-${spanId}-${flags}-${rest.replaceAll(/[\n\r\u2028\u2029]/g, '')}`);
        expect(more === null).toBe(version === 'ff' || version === '00');
      }),
    );
  });
});

describe('malformed', () => {
  const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  test.each([
    ['empty', ''],
    ['upper case', good.toUpperCase()],
    ['a trace of zeros', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
    ['a span of zeros', `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`],
    ['two fields', `${good},${good}`],
    ['space', ` ${good}`],
    ['a line end', `${good}\n`],
  ])('%s', (_, text) => {
    expect(parseTraceparent(text)).toBeNull();
  });

  test('one character that is another one, missing or too many, unless it still is a digit', () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.string({ maxLength: 2 }), (place, other) => {
        const text = good.slice(0, place) + other + good.slice(place + 1);
        if (parseTraceparent(text) !== null) expect(text).toMatch(/^(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/);
      }),
    );
  });
});
