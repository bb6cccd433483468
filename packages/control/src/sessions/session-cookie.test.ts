import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultSameSite, sessionCookie } from './session-cookie.js';

test('on https for one host it has the prefix that keeps neighbours out', () => {
  const cookie = sessionCookie({ secure: true, sameSite: 'none' });
  expect(cookie.write('abc', 90_500)).toBe('__Host-SESSION-ID=abc; Max-Age=90; Path=/; HttpOnly; Secure; SameSite=None');
  expect(cookie.clear()).toBe('__Host-SESSION-ID=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=None');
  // One that a neighbour planted under the plain name counts for nothing.
  expect(cookie.read('SESSION-ID=planted')).toBeUndefined();
  expect(cookie.read('a=b; __Host-SESSION-ID=abc; SESSION-ID=planted')).toBe('abc');
});

test('it has the plain name on http, with a domain, and where that is asked for', () => {
  const plain = sessionCookie({ secure: false, sameSite: 'lax' });
  expect(plain.write('abc', 1000)).toBe('SESSION-ID=abc; Max-Age=1; Path=/; HttpOnly; SameSite=Lax');
  expect(sessionCookie({ secure: true, sameSite: 'strict', domain: 'example.com' }).write('abc', 1000)).toBe(
    'SESSION-ID=abc; Max-Age=1; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Strict',
  );
  expect(sessionCookie({ secure: true, sameSite: 'lax', prefix: false }).name).toBe('SESSION-ID');
});

test('settings that no browser takes are refused', () => {
  expect(() => sessionCookie({ secure: false, sameSite: 'none' })).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  expect(() => sessionCookie({ secure: true, sameSite: 'lax', domain: 'a.b; Path=/x' })).toThrow(expect.objectContaining({ code: 'config_invalid' }));
});

test('SameSite fits what the service is for', () => {
  expect(defaultSameSite({ kind: 'public', servesApp: true, secure: true })).toBe('lax');
  expect(defaultSameSite({ kind: 'admin-api', servesApp: true, secure: true })).toBe('strict');
  expect(defaultSameSite({ kind: 'api', servesApp: false, secure: true })).toBe('none');
  expect(defaultSameSite({ kind: 'api', servesApp: false, secure: false })).toBe('lax');
});

test('what is written is read among any other cookies, two values are none, and no field is an error', () => {
  const cookie = sessionCookie({ secure: false, sameSite: 'lax' });
  const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,43}$/);
  const others = fc.array(fc.stringMatching(/^[a-z]{1,8}=[a-z0-9"=]{0,8}$/), { maxLength: 5 });
  fc.assert(
    fc.property(token, others, others, (value, before, after) => {
      expect(cookie.read([...before, `SESSION-ID=${value}`, ...after].join('; '))).toBe(value);
    }),
  );
  fc.assert(
    fc.property(token, token, (one, two) => {
      expect(cookie.read(`SESSION-ID=${one};SESSION-ID=${two}`)).toBe(one === two ? one : undefined);
    }),
  );
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (field) => ['undefined', 'string'].includes(typeof cookie.read(field))));
  expect(cookie.read(undefined)).toBeUndefined();
  expect(cookie.read(`SESSION-ID=a; x=${'y'.repeat(40_000)}`)).toBeUndefined();
});
