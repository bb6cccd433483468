import { controlOperations, type OperationParts } from './operations.js';
import { openApiDocument } from './server/openapi.js';

/** The OpenAPI document of all services together; `docs/openapi.json` and the client are made from it. */
export async function controlDocument(version: string): Promise<object> {
  // Nothing of the parts is touched before an operation is called.
  return openApiDocument(controlOperations({} as OperationParts), version);
}
