import type { ErrorCode } from '@sallyport/sdk';

/** Codes that mean that no credential could be had, and that it was not the caller's doing. */
export const credentialFailures: readonly ErrorCode[] = [
  'credential_unavailable',
  'credential_unusable',
  'plugin_failed',
  'plugin_result_invalid',
  'credential_not_bound',
  'route_not_found',
  'mapping_not_found',
  'provider_missing',
  'vendor_not_found',
  'client_credentials_refused',
  'token_endpoint_unavailable',
  'token_request_refused',
  'token_response_invalid',
  'token_expired_on_arrival',
  'token_not_found',
  'token_store_failed',
  'refresh_token_refused',
  'refresh_outcome_unknown',
];

/** Codes that mean something went wrong, rather than that somebody said no. */
export const failures: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...credentialFailures,
  'plugin_timeout',
  'forward_target_unknown',
  'forward_target_unavailable',
  'upstream_dns_failed',
  'upstream_refused',
  'upstream_unreachable',
  'upstream_reset',
  'upstream_connect_timeout',
  'upstream_tls_timeout',
  'upstream_tls_expired',
  'upstream_tls_name_mismatch',
  'upstream_tls_untrusted',
  'upstream_tls_failed',
  'upstream_response_timeout',
  'upstream_response_malformed',
  'upstream_idle_timeout',
  'total_timeout',
  'internal_error',
]);
