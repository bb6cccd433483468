import { type ActorRoutes, actorOperations } from './actors/actor-routes.js';
import { type AuditRoutes, auditOperations } from './audit/audit-routes.js';
import { type NamespaceRoutes, namespaceOperations } from './namespaces/namespace-routes.js';
import { permissionOperations } from './permissions/permission-routes.js';
import { type HealthRoutes, healthOperations } from './server/health.js';
import type { Operation } from './server/operation.js';
import { type TokenRoutes, tokenOperations } from './tokens/token-routes.js';

/** What the operations of all domains work with. Nothing of it is touched before an operation is called. */
export type OperationParts = NamespaceRoutes & ActorRoutes & AuditRoutes & TokenRoutes & HealthRoutes;

/** Every operation of the API. Each says which services have it. */
export function controlOperations(parts: OperationParts): readonly Operation[] {
  return [
    ...namespaceOperations(parts),
    ...actorOperations(parts),
    ...permissionOperations(parts),
    ...tokenOperations(parts),
    ...auditOperations(parts),
    ...healthOperations(parts),
  ];
}
