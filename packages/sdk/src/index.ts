export { type CatalogueEntry, type ErrorCode, errorCatalogue } from './error-catalogue.js';
export { asSallyportError, type ErrorDetails, SallyportError } from './errors.js';
export { Secret } from './secret.js';
