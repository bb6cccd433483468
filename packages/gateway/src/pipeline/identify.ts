import { SallyportError } from '@sallyport/sdk';
import type { Caller } from '../exchange.js';
import type { PresentedCertificate } from '../tls/mutual/client-certificate.js';
import { type CallerRegistry, digestToken, type TokenDigest } from './callers.js';
import type { FailureThrottle } from './throttle.js';

/** Who is asking, as far as a connection knows already: looked up once, and believed for as long as the same bytes are presented. */
export interface Identity {
  readonly caller: Caller;
  /** Null for the loopback caller and for one that is known by its certificate. */
  readonly digest: TokenDigest | null;
  /** Null on a connection without one. */
  readonly certificate: PresentedCertificate | null;
}

/**
 * Takes the token out of a Proxy-Authorization value: the password of Basic with any user name, the user name where there is no password (a proxy
 * written as `http://TOKEN@host`), or Bearer (RFC 7617, RFC 6750). Null when there is none.
 */
export function presentedToken(authorization: string): string | null {
  const space = authorization.indexOf(' ');
  if (space < 0) return null;
  const scheme = authorization.slice(0, space).toLowerCase();
  const rest = authorization.slice(space + 1).trim();
  if (scheme === 'bearer') return rest === '' ? null : rest;
  if (scheme !== 'basic') return null;
  const pair = Buffer.from(rest, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  const token = colon === pair.length - 1 ? pair.slice(0, colon) : pair.slice(colon + 1);
  return colon < 0 || token === '' ? null : token;
}

/**
 * Finds out who is asking. A token that is presented must be known, also from a loopback address: a wrong token is never «nobody». So must a
 * certificate: with both, the token decides, and its caller has to name that certificate.
 * Errors: `caller_required`, `caller_unknown`, `caller_throttled` with `retry_after` in seconds, `client_certificate_unacceptable`,
 * `client_certificate_unknown`, `client_certificate_required`, `caller_ambiguous`.
 */
export function identify(
  token: string | null,
  address: string,
  callers: CallerRegistry,
  throttle: FailureThrottle,
  certificate: PresentedCertificate | null = null,
): Identity | SallyportError {
  const refusal = certificate?.refusal() ?? null;
  if (refusal !== null) return refusal;
  if (token === null) return withoutToken(address, callers, certificate);
  const wait = throttle.retryAfter(address);
  if (wait > 0 && !throttle.trusted(address)) return throttled(wait);
  const digest = digestToken(token);
  const caller = callers.find(digest);
  if (caller === null) {
    throttle.failed(address);
    return wait > 0 ? throttled(wait) : new SallyportError('caller_unknown');
  }
  const fault = callers.tokenFault(digest, certificate?.certificate ?? null);
  if (fault !== null) return fault;
  throttle.succeeded(address);
  return { caller, digest, certificate };
}

function withoutToken(address: string, callers: CallerRegistry, certificate: PresentedCertificate | null): Identity | SallyportError {
  if (certificate === null) {
    if (callers.loopback !== null && isLoopback(address)) return { caller: callers.loopback, digest: null, certificate };
    return new SallyportError('caller_required');
  }
  const caller = callers.ofCertificate(certificate.certificate);
  return caller instanceof SallyportError ? caller : { caller, digest: null, certificate };
}

/**
 * Whether an identity from earlier on the same connection still holds: its token may have been taken out of the configuration, its run may be over,
 * its certificate may have been revoked.
 */
export function stillHolds({ digest, certificate }: Identity, callers: CallerRegistry): Caller | null {
  if (certificate !== null && certificate.refusal() !== null) return null;
  if (digest !== null) return callers.tokenFault(digest, certificate?.certificate ?? null) === null ? callers.find(digest) : null;
  if (certificate === null) return callers.loopback;
  const caller = callers.ofCertificate(certificate.certificate);
  return caller instanceof SallyportError ? null : caller;
}

/** True for 127.0.0.0/8 and ::1, IPv4-mapped ones included. The address comes from the socket, not from a message. */
function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.');
}

function throttled(seconds: number): SallyportError {
  return new SallyportError('caller_throttled', { members: { retry_after: seconds } });
}
