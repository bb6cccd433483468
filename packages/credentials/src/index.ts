export { Credential, type CredentialOptions } from './credential.js';
export { ifPresent, placeFile, syncFolders, writeNewFile } from './durable-files.js';
export { type BearerProviderOptions, bearerProvider, type OnIssued } from './grants/bearer-provider.js';
export type { ClientAuthentication } from './grants/client-authentication.js';
export { type ClientCredentialsOptions, clientCredentialsGrant } from './grants/client-credentials.js';
export { type MicrosoftOptions, type MicrosoftProvider, microsoftProvider } from './grants/microsoft.js';
export { type RefreshTokenOptions, refreshTokenGrant } from './grants/refresh-token.js';
export type { TokenEndpointOptions } from './grants/token-endpoint.js';
export type { TransportOptions } from './grants/token-endpoint-transport.js';
export type { Material } from './material.js';
export { didYouMean, editDistance, nearestWords } from './nearest-word.js';
export { type CredentialsFileOptions, type CredentialsFileProvider, openCredentialsFile } from './providers/credentials-file.js';
export { type StaticProviderOptions, staticProvider } from './providers/static.js';
export { type RefreshCall, type RefreshCoordinator, type RefreshCoordinatorOptions, refreshCoordinator } from './refresh/coordinator.js';
export type { Exchange, ExchangeOutcome } from './refresh/exchange.js';
export { storeNewToken } from './refresh/store-new-token.js';
export { asPlugin } from './routing/as-plugin.js';
export { globMatch } from './routing/glob.js';
export { type KeyResolver, resolveCredentialKey } from './routing/key-resolver.js';
export { Mux } from './routing/mux.js';
export {
  type ActionConfig,
  type MappingConfig,
  type MuxConfig,
  mappingFromConfig,
  muxFromConfig,
  type RouteMatchConfig,
} from './routing/mux-from-config.js';
export type { Route } from './routing/route.js';
export type { OnWarning, RoutingOptions } from './routing/routing-options.js';
export { type MappingRule, staticMapping } from './routing/static-mapping.js';
export { parseTarget, parseTargetPattern, type TargetParts, type TargetPattern } from './routing/target-pattern.js';
export type { Source } from './source.js';
export { type EnvSourceOptions, envSource } from './sources/env.js';
export { type FileSourceOptions, fileSource } from './sources/file.js';
export { type ProcessSourceOptions, processSource } from './sources/process.js';
export { type StaticSourceOptions, staticSource } from './sources/static.js';
export { type AzureKeyVaultTokenStoreOptions, azureKeyVaultTokenStore } from './stores/azure-key-vault.js';
export type { AzureIdentity } from './stores/azure-key-vault-identity.js';
export { type ControlPlaneTokenStoreOptions, controlPlaneTokenStore } from './stores/control-plane.js';
export { directoryTokenStore, fileTokenStore } from './stores/file-token-store.js';
export type { SecretOrigin } from './stores/http-secret.js';
export { openTokenStore, type TokenStoreDescription } from './stores/open-token-store.js';
export type { RefreshLease, StoredToken, TokenRecord, TokenStore } from './stores/token-store.js';
export { type VaultTokenStoreOptions, vaultTokenStore } from './stores/vault.js';
export type { VaultAuth } from './stores/vault-login.js';
export { errorCode } from './unavailable.js';
