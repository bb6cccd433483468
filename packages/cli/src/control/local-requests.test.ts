import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { localGuard } from './local-requests.js';

const judge = localGuard({ allowedHosts: ['Gateway.internal'], allowedOrigins: ['http://localhost:5173/'] });
const from = (headers: Record<string, string>, localAddress = '127.0.0.1') => ({ headers, socket: { localAddress } });

describe('hosts', () => {
  test.each([['localhost:8888'], ['LOCALHOST'], ['127.0.0.1:8888'], ['127.8.9.1'], ['[::1]:8888'], ['gateway.internal:8888']])(
    '%s is one of its names',
    (host) => expect(judge(from({ host }), false)).toBeNull(),
  );

  test.each([
    ['evil.example:8888', 'a name that was pointed here'],
    ['localhost.evil.example', 'a name that begins so'],
    ['127.0.0.1.evil.example', 'a name that begins so'],
    ['192.168.1.5', 'an address that was not called'],
    ['', 'none'],
    ['localhost/evil', 'a path'],
    ['ada@localhost', 'a user'],
    ['localhost evil', 'a blank'],
    ['localhost#', 'a fragment'],
  ])('%j is not: %s', (host) => expect(judge(from({ host }), true)).not.toBeNull());

  test('a missing one is refused', () => expect(judge(from({}), false)).not.toBeNull());

  test.each([
    ['192.168.1.5', '192.168.1.5:8888'],
    ['::ffff:192.168.1.5', '192.168.1.5'],
    ['fe80::1%eth0', '[fe80::1]:8888'],
  ])('the address %s that was called is one, as %s', (address, host) => expect(judge(from({ host }, address), false)).toBeNull());

  test('no other name is ever let in', () => {
    fc.assert(
      fc.property(fc.domain(), fc.integer({ min: 1, max: 65535 }), (name, port) => {
        expect(judge(from({ host: `${name}:${port}` }), true)).not.toBeNull();
      }),
    );
  });
});

describe('web pages', () => {
  const page = (headers: Record<string, string>, navigation = false) => judge(from({ host: 'localhost:8888', ...headers }), navigation);

  test.each([
    [{ origin: 'http://localhost:8888' }],
    [{ origin: 'https://localhost:8888' }],
    [{ origin: 'http://localhost:5173' }],
    [{ 'sec-fetch-site': 'same-origin' }],
    [{ 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }],
  ])('%j may', (headers) => expect(page(headers)).toBeNull());

  test.each([
    [{ origin: 'null' }],
    [{ origin: 'http://localhost:3000' }],
    [{ origin: 'https://evil.example' }],
    [{ origin: 'http://localhost:8888.evil.example' }],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
  ])('%j may not', (headers) => expect(page(headers)).not.toBeNull());

  test('a link leads only to where links may lead', () => {
    expect(page({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, true)).toBeNull();
    expect(page({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, true)).not.toBeNull();
  });
});
