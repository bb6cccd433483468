import type { Secret } from '@sallyport/sdk';
import type { Material } from '../material.js';
import type { RefreshCall, RefreshCoordinator } from '../refresh/coordinator.js';
import type { Exchange } from '../refresh/exchange.js';
import type { Source } from '../source.js';
import { scopeParameter, type TokenEndpointOptions, tokenEndpoint } from './token-endpoint.js';

/** Access on behalf of somebody who consented once (RFC 6749 §6). */
export interface RefreshTokenOptions extends TokenEndpointOptions {
  /** Keeps the refresh token; shared by all grants over the same store. */
  readonly coordinator: RefreshCoordinator;
  /** Under which the store keeps it. */
  readonly key: string;
  /** A part of what was consented to; all of it when left out. */
  readonly scopes?: readonly string[];
  /** Say so when the server takes a refresh token more than once and lets earlier ones live; without it every token is presented once only. */
  readonly reusable?: boolean;
}

/**
 * Access tokens by a refresh token that the coordinator's store keeps; a new refresh token in the answer is stored before the access token is handed
 * out. Errors: those of `RefreshCoordinator` and of `clientCredentialsGrant`. Throws `config_invalid` when made with what cannot work.
 */
export function refreshTokenGrant(options: RefreshTokenOptions): Source {
  const { coordinator, key } = options;
  const endpoint = tokenEndpoint(options);
  const exchange: Exchange = (refreshToken: Secret, signal) => {
    const parameters = { refresh_token: refreshToken.reveal(), ...scopeParameter(options.scopes) };
    return endpoint.request('refresh_token', parameters, [refreshToken], signal);
  };
  return {
    type: 'refresh_token',
    description: `refresh token ${JSON.stringify(key)} at ${endpoint.where}`,
    async fetch(signal: AbortSignal): Promise<Material> {
      const call: RefreshCall = { key, exchange, timeoutMs: endpoint.timeoutMs, signal };
      return await (options.reusable === true ? coordinator.refreshReusable(call) : coordinator.refresh(call));
    },
  };
}
