export { type Actor, readActorDescription } from './actors/actor.js';
export { createActorKeys } from './actors/actor-keys.js';
export { createActorSources, readKeyDirectory } from './actors/actor-sources.js';
export { type Actors, createActors, systemRequester } from './actors/actors.js';
export { parsePublicKey, parsePublicKeys } from './actors/public-key.js';
export { type AuditTrail, createAuditTrail } from './audit/audit-trail.js';
export { type ControlConfig, controlSection } from './config/control-section.js';
export { makeKeyFile } from './config/global-key-file.js';
export { type ControlPlane, type ControlPlaneOptions, openControlPlane } from './control-plane.js';
export { checkVersion, entityTag, parseIfMatch } from './database/entity-tag.js';
export { requestDigest, withIdempotency } from './database/idempotency.js';
export { migrate, requireKnownSchema } from './database/migrate.js';
export { type Database, type DatabaseOptions, openDatabase } from './database/open-database.js';
export { createSealer, type Sealer } from './database/sealer.js';
export { controlDocument } from './document.js';
export { createEncryptedColumns, type EncryptedColumn } from './keys/encrypted-columns.js';
export type { CiphertextPlace } from './keys/envelope.js';
export { createKeyService, type KeyService } from './keys/key-service.js';
export { openKeyring } from './keys/keyring.js';
export { parseProviderConfig, publicKeyData } from './keys/provider-config.js';
export { DEFAULT_PROVIDER_RULES, type ProviderRule } from './keys/provider-rules.js';
export { createReencryption } from './keys/reencryption.js';
export { createRetirement } from './keys/retirement.js';
export { carryLabels, labelNew, labelsOf, setLabel, unlabel, updateLabels } from './labels/label-service.js';
export { formatSelector, parseSelector, selectorMatches } from './labels/selector.js';
export { selectorCondition } from './labels/selector-condition.js';
export { createNamespaces, type Namespaces } from './namespaces/namespaces.js';
export { covers, intersect } from './permissions/algebra.js';
export { type Authority, authorityOf } from './permissions/authority.js';
export { compilePermissions } from './permissions/compiled-permissions.js';
export { explain } from './permissions/explain.js';
export { listScope, scopeCondition, wholeNamespaces } from './permissions/list-scope.js';
export {
  everything,
  isNothing,
  nothing,
  type Permission,
  type Permissions,
  parsePermissions,
  permissionSchema,
  permissionsOf,
  permissionTemplateSchema,
} from './permissions/permission.js';
export { renderPermissions, widestPermissions } from './permissions/template.js';
export { migrateStores } from './running/open-stores.js';
export { type ControlOptions, type RunningControl, startControl } from './running/start-control.js';
export type { ServiceName } from './server/operation.js';
export { createAuthenticator } from './tokens/authenticate.js';
export { amongKeys, systemIssuer } from './tokens/issuers.js';
export { parseKeySet } from './tokens/key-set.js';
export { createTokenMint } from './tokens/mint-token.js';
export { purgeNonces, storedNonces } from './tokens/nonce-store.js';
export { remoteKeySet } from './tokens/remote-key-set.js';
export { systemKeyring } from './tokens/system-keyring.js';
export { publicVerificationKey, sharedVerificationKey } from './tokens/verification-key.js';
export { createTokenVerifier } from './tokens/verify-token.js';
