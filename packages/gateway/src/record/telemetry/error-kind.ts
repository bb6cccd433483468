import type { ErrorCode } from '@sallyport/sdk';

/** Why a forward target gave no response. */
export type ForwardFault = 'timeout' | 'tls' | 'connection' | 'other';

/** Whether a code says that the upstream could not be reached, or did not answer as it should. */
export function isUpstreamError(code: ErrorCode): boolean {
  return code.startsWith('upstream_');
}

/** The word of `error.type` for what went wrong on the way to an upstream and back. */
export function errorKind(code: ErrorCode): 'timeout' | 'cancelled' | 'connection_error' | 'dns_error' | '_OTHER' {
  if (code === 'upstream_dns_failed') return 'dns_error';
  if (code.endsWith('_timeout')) return 'timeout';
  if (code === 'client_aborted') return 'cancelled';
  return CONNECTION.has(code) || code.startsWith('upstream_tls_') ? 'connection_error' : '_OTHER';
}

/** The same for the `kind` of `chaperone_forward_target_errors_total`. */
export function forwardFault(code: ErrorCode): ForwardFault {
  if (code.endsWith('_timeout')) return 'timeout';
  if (code.startsWith('upstream_tls_')) return 'tls';
  return CONNECTION.has(code) || code === 'upstream_dns_failed' ? 'connection' : 'other';
}

const CONNECTION: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['upstream_refused', 'upstream_unreachable', 'upstream_reset']);
