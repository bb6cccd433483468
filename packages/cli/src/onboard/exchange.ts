import { SallyportError, Secret } from '@sallyport/sdk';
import {
  type AuthorizationServer,
  authorizationCodeGrantRequest,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  None,
  nopkce,
  processAuthorizationCodeResponse,
} from 'oauth4webapi';
import type { Session } from './authorization.js';
import { endpointFailure } from './failures.js';
import type { Provider } from './provider.js';
import { tokenOptions } from './token-http.js';

/** How the client shows who it is; a public client only says its name. */
export function clientAuthentication({ clientSecret, clientAuth }: Provider): ClientAuth {
  if (clientSecret === null) return None();
  return clientAuth === 'basic' ? ClientSecretBasic(clientSecret.reveal()) : ClientSecretPost(clientSecret.reveal());
}

/** The endpoint as errors name it. */
export function tokenEndpointName({ token_endpoint }: AuthorizationServer): string {
  return `The token endpoint ${token_endpoint ?? ''}`;
}

/**
 * Exchanges the code for a refresh token (RFC 6749 §4.1.3). Errors: `onboarding_exchange_failed`, `onboarding_token_missing` when the answer holds
 * no refresh token.
 */
export async function exchangeCode(provider: Provider, session: Session, answer: URLSearchParams, redirectUri: string): Promise<Secret> {
  const client = { client_id: provider.clientId };
  const secrets = [provider.clientSecret?.reveal(), session.verifier, answer.get('code')].filter((secret) => typeof secret === 'string');
  try {
    const response = await authorizationCodeGrantRequest(
      provider.server,
      client,
      clientAuthentication(provider),
      answer,
      redirectUri,
      session.verifier ?? nopkce,
      { ...tokenOptions(provider), ...(provider.resource !== null && { additionalParameters: { resource: provider.resource } }) },
    );
    return refreshTokenOf(await processAuthorizationCodeResponse(provider.server, client, response));
  } catch (error) {
    throw endpointFailure('onboarding_exchange_failed', tokenEndpointName(provider.server), error, secrets);
  }
}

/** Errors: `onboarding_token_missing`. */
export function refreshTokenOf({ refresh_token }: { readonly refresh_token?: string | undefined }): Secret {
  if (refresh_token === undefined || refresh_token === '') throw new SallyportError('onboarding_token_missing');
  return new Secret(refresh_token);
}
