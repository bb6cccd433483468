import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c } from './gcp-crc32c.js';

test('the examples of RFC 3720 appendix B.4', () => {
  const rising = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(rising)).toBe(0x46dd794e);
  expect(crc32c(Buffer.from(rising).reverse())).toBe(0x113fdb5c);
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(0))).toBe(0);
});

test('a changed bit changes the checksum', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), fc.integer({ min: 0, max: 7 }), (bytes, at, bit) => {
      const changed = Uint8Array.from(bytes);
      const place = at % bytes.length;
      changed[place] = (changed[place] ?? 0) ^ (1 << bit);
      expect(crc32c(changed)).not.toBe(crc32c(bytes));
    }),
  );
});
