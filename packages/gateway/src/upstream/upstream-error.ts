import { type ErrorCode, SallyportError } from '@sallyport/sdk';

/** What was being done with an upstream when it failed. */
export type DialStage = 'resolve' | 'connect' | 'tls';

const connectCodes: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'upstream_refused',
  EHOSTUNREACH: 'upstream_unreachable',
  ENETUNREACH: 'upstream_unreachable',
  EADDRNOTAVAIL: 'upstream_unreachable',
  EHOSTDOWN: 'upstream_unreachable',
  ETIMEDOUT: 'upstream_connect_timeout',
};

const tlsCodes: Readonly<Record<string, ErrorCode>> = {
  CERT_HAS_EXPIRED: 'upstream_tls_expired',
  CERT_NOT_YET_VALID: 'upstream_tls_expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'upstream_tls_name_mismatch',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'upstream_tls_untrusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'upstream_tls_untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'upstream_tls_untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'upstream_tls_untrusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'upstream_tls_untrusted',
  CERT_UNTRUSTED: 'upstream_tls_untrusted',
  CERT_SIGNATURE_FAILURE: 'upstream_tls_untrusted',
  CERT_REVOKED: 'upstream_tls_untrusted',
  INVALID_CA: 'upstream_tls_untrusted',
  INVALID_PURPOSE: 'upstream_tls_untrusted',
};

/** The error that a client is told when dialing fails. The sentence names the host as it was asked for, never an address it resolved to. */
export function upstreamError(cause: NodeJS.ErrnoException, stage: DialStage, host: string, port: number): SallyportError {
  const reason = cause.code ?? 'unknown reason';
  switch (stage) {
    case 'resolve':
      return new SallyportError('upstream_dns_failed', { detail: `${host} does not resolve (${reason})`, cause });
    case 'connect':
      return new SallyportError(connectCodes[reason] ?? 'upstream_reset', { detail: `connecting to ${host}:${port} failed (${reason})`, cause });
    default:
      return new SallyportError(tlsCodes[reason] ?? 'upstream_tls_failed', {
        detail: `the TLS handshake with ${host}:${port} failed (${reason})`,
        cause,
      });
  }
}
