import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bitString, context, contextConstructed, element, elements, integer, objectIdentifier, TAG, time } from './der.js';

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');

describe('writing', () => {
  test.each([
    ['00', '020100'],
    ['0000', '020100'],
    ['7f', '02017f'],
    ['80', '02020080'],
    ['0080', '02020080'],
    ['000100', '02020100'],
    ['ffff', '020300ffff'],
  ])('an integer of magnitude %s', (magnitude, expected) => {
    expect(hex(integer(Buffer.from(magnitude, 'hex')))).toBe(expected);
  });

  // The examples of X.690 §8.19 and RFC 5280.
  test.each([
    ['2.999.3', '0603883703'],
    ['1.2.840.113549', '06062a864886f70d'],
    ['2.5.29.17', '0603551d11'],
    ['1.2.840.10045.4.3.2', '06082a8648ce3d040302'],
  ])('the object identifier %s', (dotted, expected) => {
    expect(hex(objectIdentifier(dotted))).toBe(expected);
  });

  test.each([
    [0, '81 00'],
    [1, '81 01'],
    [127, '81 7f'],
    [128, '81 81 80'],
    [255, '81 81 ff'],
    [256, '81 82 01 00'],
    [65_535, '81 82 ff ff'],
  ])('a length of %i in the fewest octets', (length, head) => {
    const written = element(context(1), Buffer.alloc(length));
    expect(hex(written.subarray(0, written.length - length))).toBe(head.replaceAll(' ', ''));
  });

  test('a length beyond what a certificate has is refused', () => {
    expect(() => element(TAG.octetString, Buffer.alloc(65_536))).toThrow(RangeError);
  });

  test('a bit string says how many bits do not count', () => {
    expect(hex(bitString(Buffer.of(0x80), 7))).toBe('03020780');
    expect(hex(bitString(Buffer.of(1, 2)))).toBe('0303000102');
  });

  test.each([
    ['1999-12-31T23:59:59Z', TAG.utcTime, '991231235959Z'],
    ['2026-01-02T03:04:05.999Z', TAG.utcTime, '260102030405Z'],
    ['2049-12-31T23:59:59Z', TAG.utcTime, '491231235959Z'],
    ['2050-01-01T00:00:00Z', TAG.generalizedTime, '20500101000000Z'],
    ['2126-06-07T08:09:10Z', TAG.generalizedTime, '21260607080910Z'],
  ])('the time %s', (iso, tag, text) => {
    const [read] = elements(time(Date.parse(iso)));
    expect(read.tag).toBe(tag);
    expect(read.content.toString()).toBe(text);
  });
});

describe('reading', () => {
  test('answers what was written', () => {
    const parts = fc.array(
      fc.tuple(fc.constantFrom(TAG.octetString, TAG.utf8String, context(2), contextConstructed(3)), fc.uint8Array({ maxLength: 300 })),
    );
    fc.assert(
      fc.property(parts, (list) => {
        const written = Buffer.concat(list.map(([tag, content]) => element(tag, content)));
        const read = elements(written);
        expect(read.map(({ tag, content }) => [tag, hex(content)])).toEqual(list.map(([tag, content]) => [tag, hex(content)]));
        expect(hex(Buffer.concat(read.map(({ raw }) => raw)))).toBe(hex(written));
      }),
    );
  });

  test('an element that is cut short is a RangeError, and no bytes make it do anything else', () => {
    const whole = element(TAG.sequence, element(TAG.octetString, Buffer.alloc(200)));
    for (let length = 1; length < whole.length; length++) expect(() => elements(whole.subarray(0, length))).toThrow(RangeError);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (octets) => {
        try {
          const total = elements(Buffer.from(octets)).reduce((sum, { raw }) => sum + raw.length, 0);
          expect(total).toBe(octets.length);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });

  test.each(['3080', '308400000001ff'])('a length that is indefinite or too long is refused: %s', (octets) => {
    expect(() => elements(Buffer.from(octets, 'hex'))).toThrow(RangeError);
  });
});
