import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bypasses } from './no-proxy-match.js';

test.each([
  ['', 'a.example', 443, false],
  ['*', 'a.example', 443, true],
  ['a.example', 'a.example', 443, true],
  ['a.example', 'b.a.example', 443, true],
  ['.a.example', 'b.a.example', 443, true],
  ['*.a.example', 'b.a.example', 443, true],
  ['a.example', 'ba.example', 443, false],
  ['A.EXAMPLE', 'a.example', 443, true],
  ['a.example:8443', 'a.example', 8443, true],
  ['a.example:8443', 'a.example', 443, false],
  ['x, a.example  y', 'a.example', 80, true],
  ['127.0.0.1', '127.0.0.1', 80, true],
  ['::1', '::1', 80, true],
  ['[::1]', '::1', 80, true],
  ['[::1]:80', '::1', 80, true],
  ['[::1]:81', '::1', 80, false],
  ['localhost', 'localhost', 80, true],
])('%j and %s:%i: %s', (noProxy, host, port, expected) => {
  expect(bypasses(noProxy, host, port)).toBe(expected);
});

test('a list bypasses what one of its entries bypasses, whatever text it is', () => {
  const entry = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6(),
    fc.string().map((text) => text.replace(/[\s,]/g, '')),
  );
  fc.assert(
    fc.property(fc.array(entry), fc.domain(), fc.integer({ min: 1, max: 65_535 }), (entries, host, port) => {
      expect(bypasses(entries.join(','), host, port)).toBe(entries.some((one) => bypasses(one, host, port)));
    }),
  );
});
