import { type ErrorCode, SallyportError } from '@sallyport/sdk';
import { AuthorizationResponseError, OperationProcessingError, ResponseBodyError, UnsupportedOperationError } from 'oauth4webapi';
import { quoted } from './quoted-text.js';

/**
 * What went wrong at an endpoint, as an error of ours. Takes over no cause: the errors of the library carry whole answers, tokens included.
 * `endpoint` begins the sentence, as in `The token endpoint https://…`.
 */
export function endpointFailure(code: ErrorCode, endpoint: string, error: unknown, secrets: readonly string[]): SallyportError {
  if (error instanceof SallyportError) return error;
  if (error instanceof ResponseBodyError) return answeredError(code, endpoint, error, secrets);
  if (error instanceof OperationProcessingError || error instanceof UnsupportedOperationError) {
    const status = error.cause instanceof Response ? `with status ${error.cause.status}` : 'with something else than the standard asks for';
    return new SallyportError(code, {
      detail: `${endpoint} answered ${status}: ${quoted(error.message, secrets)}.`,
      hint: 'Check that the address is that of an OAuth 2.0 endpoint of this kind.',
    });
  }
  return new SallyportError(code, {
    detail: `${endpoint} cannot be reached (${reasonOf(error)}).`,
    hint: 'Check the address, the network and the certificate of the server; NODE_EXTRA_CA_CERTS adds an authority.',
  });
}

function answeredError(code: ErrorCode, endpoint: string, error: ResponseBodyError, secrets: readonly string[]): SallyportError {
  const description = error.error_description === undefined ? '' : ` (${quoted(error.error_description, secrets)})`;
  const detail = `${endpoint} answered ${error.status}: ${quoted(error.error, secrets)}${description}.`;
  const hint = hints[error.error];
  return new SallyportError(code, { detail, ...(hint !== undefined && { hint }) });
}

const hints: Readonly<Record<string, string>> = {
  invalid_client: 'Check --client-id, the client secret, and whether the server wants it with --client-auth basic or post.',
  unauthorized_client: 'Allow this client the grant in the settings of the server.',
  invalid_grant: 'A code is good for one use and a short time: begin again. If it persists, check the redirect URI and PKCE settings of the client.',
  invalid_scope: 'Check --scope against what the server offers this client.',
  unsupported_grant_type: 'The server does not offer this way; try without --device, or with it.',
};

/** The person, or the server, said no. */
export function consentDenied(error: string, description: string | null): SallyportError {
  return new SallyportError('onboarding_denied', {
    detail: `The consent was not given: ${quoted(error)}${description === null ? '' : ` (${quoted(description)})`}.`,
  });
}

/** The refusal that an authorization response carries, or null when that is not what the error is about. */
export function denialOf(error: unknown): SallyportError | null {
  if (!(error instanceof AuthorizationResponseError)) return null;
  return consentDenied(error.error, error.error_description ?? null);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  if (cause instanceof Error) return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
  return error.name;
}
