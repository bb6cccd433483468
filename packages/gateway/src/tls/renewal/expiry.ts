import { X509Certificate } from 'node:crypto';
import { pemCertificates } from '../pem.js';

/** A certificate that is about to run out. */
export interface ExpiryWarning {
  /** Whole days that are left, rounded down; 0 on the last day and after it. */
  readonly daysLeft: number;
  readonly expired: boolean;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

export interface ExpiryOptions {
  /** PEM of the certificate that is served at the moment; null when there is none. */
  readonly certificate: () => string | null;
  readonly warn: (warning: ExpiryWarning) => void;
}

const DAY = 24 * 60 * 60_000;
const CHECK_EVERY = 60 * 60_000;
/** Days before the end on which something is said; 0 is the end itself. */
const THRESHOLDS = [0, 1, 3, 7, 14, 30];

/** When a certificate (the first one in a PEM text) expires, in milliseconds since the epoch; null when the text holds none that can be read. */
export function certificateNotAfter(pem: string): number | null {
  try {
    return Date.parse(new X509Certificate(pemCertificates(pem)[0] ?? '').validTo);
  } catch {
    return null;
  }
}

/**
 * Looks at the certificate now and once an hour, and warns 30, 14, 7, 3 and 1 days before it expires and when it has: once for each, and once for the
 * nearest when it begins later. A renewed certificate starts from the beginning. Does not keep the process alive; `stop` ends it.
 */
export function watchExpiry({ certificate, warn }: ExpiryOptions): { stop(): void } {
  let seen: number | null = null;
  let warned = Number.POSITIVE_INFINITY;

  function check(): void {
    const pem = certificate();
    const notAfter = pem === null ? null : certificateNotAfter(pem);
    if (notAfter === null) return;
    if (notAfter !== seen) warned = Number.POSITIVE_INFINITY;
    seen = notAfter;
    const left = notAfter - Date.now();
    const reached = THRESHOLDS.find((days) => left <= days * DAY);
    if (reached === undefined || reached >= warned) return;
    warned = reached;
    warn({ daysLeft: Math.max(0, Math.floor(left / DAY)), expired: left <= 0, notAfter });
  }

  check();
  const timer = setInterval(check, CHECK_EVERY).unref();
  return { stop: () => clearInterval(timer) };
}
