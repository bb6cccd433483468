export { type CatalogueEntry, type ErrorCode, errorCatalogue } from './error-catalogue.js';
export { asSallyportError, type ErrorDetails, SallyportError } from './errors.js';
export {
  type CallOptions,
  type CertificateSigner,
  type Credential,
  type CredentialProvider,
  isExpired,
  type MutableBody,
  type MutableRequest,
  type MutableResponse,
  type Plugin,
  type RequestRouter,
  type ResponseAction,
  type ResponseModifier,
  type RouteAction,
  timeToLive,
} from './plugin.js';
export { Secret } from './secret.js';
export { TransactionContext, type TransactionFields } from './transaction-context.js';
