import { createHmac, timingSafeEqual } from 'node:crypto';
import { SallyportError, Secret } from '@sallyport/sdk';

/** What proves that a request comes from a page of ours: a text that only a script of an allowed origin can have read. */
export interface XsrfTokens {
  /** For the X-XSRF-Token field of the answer. */
  readonly token: Secret;
  /** Whether a client may send this text: the token of now, or of the window before. In constant time. */
  readonly accepts: (given: string) => boolean;
}

/**
 * The tokens of a session: HMAC-SHA256 of its id and the window of time, keyed with what the cookie holds. Nothing is stored, so nothing grows; a dump
 * of the database makes none; and a new session, even with the same id, has others. A token is good for at least one window and at most two.
 */
export function xsrfTokens(cookie: Secret, sessionId: string, { now, windowMs }: { readonly now: number; readonly windowMs: number }): XsrfTokens {
  const window = Math.floor(now / windowMs);
  const tokenOf = (index: number): Buffer => createHmac('sha256', cookie.reveal()).update(`xsrf ${sessionId} ${index}`).digest();
  const current = tokenOf(window);
  return {
    token: new Secret(current.toString('base64url')),
    accepts: (given) => {
      const bytes = Buffer.from(given, 'base64url');
      if (bytes.length !== current.length || bytes.toString('base64url') !== given) return false;
      // Both are compared whatever the first says.
      const [fresh, former] = [timingSafeEqual(bytes, current), timingSafeEqual(bytes, tokenOf(window - 1))];
      return fresh || former;
    },
  };
}

/** Fails with `xsrf_token_missing` or `xsrf_token_invalid`, unless the method is GET or HEAD. For requests that only a session authenticates. */
export function requireXsrf(method: string, tokens: XsrfTokens, given: string | undefined): void {
  if (method === 'GET' || method === 'HEAD') return;
  if (given === undefined || given === '') throw new SallyportError('xsrf_token_missing');
  if (!tokens.accepts(given)) throw new SallyportError('xsrf_token_invalid');
}
