import { SallyportError } from '@sallyport/sdk';
import { abortable } from '../abortable.js';
import type { Material } from '../material.js';
import type { ExchangeOutcome } from '../refresh/exchange.js';
import type { Source } from '../source.js';
import { scopeParameter, type TokenEndpointOptions, tokenEndpoint } from './token-endpoint.js';

/** A client that acts for itself (RFC 6749 §4.4). */
export interface ClientCredentialsOptions extends TokenEndpointOptions {
  readonly scopes?: readonly string[];
}

/**
 * Access tokens by client credentials; a refresh token in the answer is ignored, as RFC 6749 §4.4.3 has it. Errors: `client_credentials_refused`,
 * `token_endpoint_unavailable`, `token_request_refused`, `token_response_invalid`, `token_expired_on_arrival`. Throws `config_invalid` when made
 * with what cannot work.
 */
export function clientCredentialsGrant(options: ClientCredentialsOptions): Source {
  const endpoint = tokenEndpoint(options);
  return {
    type: 'client_credentials',
    description: `client credentials at ${endpoint.where}`,
    async fetch(signal: AbortSignal): Promise<Material> {
      signal.throwIfAborted();
      const answer = endpoint.request('client_credentials', { ...scopeParameter(options.scopes) }, [], signal);
      return materialOf(await abortable(answer, signal));
    },
  };
}

function materialOf(outcome: ExchangeOutcome): Material {
  if (outcome.kind === 'answered') {
    if (outcome.result instanceof SallyportError) throw outcome.result;
    return outcome.result;
  }
  // There is no refresh token here that could be refused.
  if (outcome.kind === 'refused') throw new SallyportError('token_request_refused', { detail: outcome.error.message, cause: outcome.error.cause });
  throw outcome.error;
}
