import {
  Credential,
  clientCredentialsGrant,
  openTokenStore,
  type RefreshCoordinator,
  refreshCoordinator,
  refreshTokenGrant,
  type Source,
} from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import type { GrantConfig } from '../config/schema/grants.js';
import type { GatewayConfig } from '../config/schema.js';
import { configDigest } from './config-digest.js';
import { countedSource } from './counted-source.js';
import type { Share, SharedCredentials } from './shared-credentials.js';

/** What grants are made with. */
export interface GrantMeans {
  readonly shared: SharedCredentials;
  /** Told of every failed fetch, and of every token that could not be saved. Must not throw. */
  readonly onCredentialFailure: (error: SallyportError) => void;
  /** Told how each fetch ended. Must not throw. */
  readonly onCredentialFetch: (succeeded: boolean) => void;
}

/** The credential of a grant: the one that is in use already where nothing about it has changed. `name` appears in errors. */
export function openGrant(name: string, grant: GrantConfig, stores: GatewayConfig['token_stores'], means: GrantMeans): Share<Credential> {
  const store = grant.type === 'refresh_token' ? stores[grant.store] : null;
  return means.shared.use(configDigest(['grant', name, grant, store]), () => {
    const source = countedSource(sourceOf(name, grant, stores, means), means.onCredentialFetch);
    return new Credential({ name, source, onFailure: means.onCredentialFailure });
  });
}

/** The coordinator of a token store that the configuration has. */
export function openCoordinator(name: string, stores: GatewayConfig['token_stores'], means: GrantMeans): RefreshCoordinator {
  const store = stores[name];
  return means.shared.coordinator(configDigest(store), () =>
    refreshCoordinator({
      store: openTokenStore(store),
      onSaveError: (key, error) =>
        means.onCredentialFailure(
          new SallyportError(error.code, {
            detail: `The new refresh token of ${JSON.stringify(key.slice(0, 64))} is not saved yet: ${error.message}`,
            hint: `Until it is saved it exists in this process only: do not stop it. ${error.hint}`,
            members: error.members,
            cause: error.cause,
          }),
        ),
    }),
  );
}

function sourceOf(name: string, grant: GrantConfig, stores: GatewayConfig['token_stores'], means: GrantMeans): Source {
  if (grant.type === 'client_credentials') return clientCredentialsGrant(grant.options);
  return refreshTokenGrant({ ...grant.options, key: grant.key ?? name, coordinator: openCoordinator(grant.store, stores, means) });
}
