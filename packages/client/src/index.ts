export type { components, operations } from './api.js';
export { ApiError, type ApiIssue, unreachable } from './api-error.js';
export {
  type Answer,
  type Asked,
  type Client,
  type ClientOptions,
  createClient,
  newIdempotencyKey,
  type OperationName,
  type Result,
} from './client.js';
export { itemsOf, pagesOf } from './pages.js';
export type { Fetch, FetchAnswer } from './transport.js';
