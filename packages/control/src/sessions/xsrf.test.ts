import { SallyportError, Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { requireXsrf, type XsrfTokens, xsrfTokens } from './xsrf.js';

const windowMs = 3_600_000;
const cookie = new Secret('a cookie of a browser');

function tokensAt(now: number, sessionId = 'sess_1', of: Secret = cookie): XsrfTokens {
  return xsrfTokens(of, sessionId, { now, windowMs });
}

test('a token is good for at least one window and at most two', () => {
  const minute = fc.integer({ min: 0, max: 1000 });
  fc.assert(
    fc.property(minute, fc.integer({ min: 0, max: 240 }), (start, passed) => {
      const given = tokensAt(start * 60_000).token.reveal();
      const accepted = tokensAt((start + passed) * 60_000).accepts(given);
      if (passed <= 60) expect(accepted).toBe(true);
      if (passed >= 120) expect(accepted).toBe(false);
    }),
  );
});

test('no other text is good, nor the token of another session or another cookie', () => {
  const { accepts, token } = tokensAt(0);
  expect(accepts(token.reveal())).toBe(true);
  expect(accepts(tokensAt(0, 'sess_2').token.reveal())).toBe(false);
  expect(accepts(tokensAt(0, 'sess_1', new Secret('another')).token.reveal())).toBe(false);
  for (const other of [`${token.reveal()}=`, ` ${token.reveal()}`, token.reveal().slice(1), '', cookie.reveal()]) expect(accepts(other)).toBe(false);
  fc.assert(fc.property(fc.base64String(), (text) => !accepts(text)));
});

test('every method needs one but GET and HEAD', () => {
  const tokens = tokensAt(0);
  const codeOf = (method: string, given: string | undefined): string | undefined => {
    try {
      requireXsrf(method, tokens, given);
      return undefined;
    } catch (error) {
      return error instanceof SallyportError ? error.code : 'another error';
    }
  };
  for (const method of ['GET', 'HEAD']) expect(codeOf(method, undefined)).toBeUndefined();
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'get', 'TRACE', 'QUERY']) {
    expect(codeOf(method, undefined)).toBe('xsrf_token_missing');
    expect(codeOf(method, '')).toBe('xsrf_token_missing');
    expect(codeOf(method, 'x')).toBe('xsrf_token_invalid');
    expect(codeOf(method, tokens.token.reveal())).toBeUndefined();
  }
});
