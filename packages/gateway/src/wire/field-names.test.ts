import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Field, fieldId, fieldName, fieldSet, hopByHopFields } from './field-names.js';
import { Scan } from './scan.js';
import { bytes, feed } from './testing/head-verdict.test.support.js';

describe('field ids', () => {
  test('a name has one id in any case, and the id its name', () => {
    const id = fieldId('X-Sallyport-Test-Name');
    expect(fieldId('x-sallyport-TEST-name')).toBe(id);
    expect(fieldName(id)).toBe('x-sallyport-test-name');
    expect(fieldId('content-length')).toBe(Field.contentLength);
    expect(fieldName(0)).toBe('');
  });

  test('the scanner finds every registered name in any case, and gives 0 to any other', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(Field)), fc.integer(), (key, seed) => {
        const id = Field[key as keyof typeof Field];
        const name = fieldName(id);
        const mixed = [...name].map((character, index) => ((seed >> (index % 30)) & 1 ? character.toUpperCase() : character)).join('');
        const verdict = feed(
          bytes(`GET / HTTP/1.0\r\n${mixed}: ${id === Field.contentLength ? '1' : 'chunke'}\r\nX${mixed}: 1\r\n${name.slice(0, -1)}~: 1\r\n\r\n`),
          'request',
        );
        if (id === Field.transferEncoding) expect(verdict.result).toBe(Scan.ambiguous);
        else expect((verdict.head as { fields: unknown[][] }).fields.map((field) => field[2])).toEqual([id, 0, 0]);
      }),
    );
  });

  test('names that collide in the table stay apart', () => {
    const names = Array.from({ length: 600 }, (_, index) => `x-collide-${index}`);
    const ids = names.map((name) => fieldId(name));
    expect(new Set(ids).size).toBe(names.length);
    const input = bytes(`GET / HTTP/1.0\r\n${names.map((name) => `${name.toUpperCase()}: 1\r\n`).join('')}\r\n`);
    const verdict = feed(input, 'request', [], { size: 100_000, count: 1000 });
    expect((verdict.head as { fields: unknown[][] }).fields.map((field) => field[2])).toEqual(ids);
  });

  test('a name that is no token is refused', () => {
    for (const name of ['', ' ', 'a b', 'a:', 'a\r\n', 'é', '\u0161']) expect(() => fieldId(name)).toThrow(RangeError);
  });

  test('sets hold what they were made of', () => {
    const set = fieldSet(['Host', 'X-Sallyport-Other']);
    expect([set[Field.host], set[fieldId('x-sallyport-other')], set[Field.te], set[0]]).toEqual([1, 1, 0, 0]);
    expect(hopByHopFields[Field.connection]).toBe(1);
    expect(hopByHopFields[Field.authorization]).toBe(0);
  });
});
