import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isLoopbackAddress, namesThisMachine } from './host-check.js';

test.each(['localhost', 'LocalHost:9090', 'localhost:', '127.0.0.1', '127.0.0.1:80', '[::1]', '[::1]:9090', 'ops.internal:9090', 'OPS.internal'])(
  '%s names this machine',
  (header) => {
    expect(namesThisMachine(header, 'ops.internal')).toBe(true);
  },
);

test.each([
  undefined,
  '',
  'evil.example',
  'evil.example:9090',
  'localhost.evil.example',
  'evil.example:localhost',
  'localhost:9090:9090',
  'localhost:9090@evil.example',
  '127.0.0.1.evil.example',
  '[::1].evil.example',
  '::1',
  'user@localhost',
  'localhost ',
  'localhost,evil.example',
])('%s does not', (header) => {
  expect(namesThisMachine(header, 'ops.internal')).toBe(false);
});

test('A configured IPv6 address is named in brackets', () => {
  expect(namesThisMachine('[::ffff:127.0.0.2]:9090', '::ffff:127.0.0.2')).toBe(true);
});

test('Nothing but the known names passes', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webAuthority({ withPort: true, withIPv4: true, withIPv6: true })), (header) => {
      const name = header.replace(/:\d*$/, '').toLowerCase();
      expect(namesThisMachine(header, 'localhost')).toBe(['localhost', '127.0.0.1', '[::1]'].includes(name));
    }),
  );
});

test.each([
  ['127.0.0.1', true],
  ['127.8.9.10', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['0.0.0.0', false],
  ['::', false],
  ['192.0.2.127', false],
  ['::ffff:10.0.0.1', false],
])('%s is a loopback address: %s', (address, loopback) => {
  expect(isLoopbackAddress(address)).toBe(loopback);
});
