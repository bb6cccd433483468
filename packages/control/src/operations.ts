import { type ActorRoutes, actorOperations } from './actors/actor-routes.js';
import { type AuditRoutes, auditOperations } from './audit/audit-routes.js';
import { type KeyRoutes, keyOperations } from './keys/key-routes.js';
import { type NamespaceKeyRoutes, namespaceKeyOperations } from './keys/namespace-key-routes.js';
import { type ReencryptionRoutes, reencryptionOperations } from './keys/reencryption-routes.js';
import { type NamespaceRoutes, namespaceOperations } from './namespaces/namespace-routes.js';
import { permissionOperations } from './permissions/permission-routes.js';
import { type HealthRoutes, healthOperations } from './server/health.js';
import type { Operation } from './server/operation.js';
import { type SessionListRoutes, sessionListOperations } from './sessions/session-list-routes.js';
import { type SessionRoutes, sessionOperations } from './sessions/session-routes.js';
import { type SignInRoutes, signInOperations } from './sign-in/sign-in-routes.js';
import { type TaskRoutes, taskOperations } from './tasks/task-routes.js';
import { type TokenRoutes, tokenOperations } from './tokens/token-routes.js';

/** What the operations of all domains work with. Nothing of it is touched before an operation is called. */
export type OperationParts = NamespaceRoutes &
  KeyRoutes &
  NamespaceKeyRoutes &
  ReencryptionRoutes &
  ActorRoutes &
  AuditRoutes &
  TokenRoutes &
  TaskRoutes &
  HealthRoutes &
  SessionRoutes &
  SessionListRoutes &
  SignInRoutes;

/** Every operation of the API. Each says which services have it. */
export function controlOperations(parts: OperationParts): readonly Operation[] {
  return [
    ...namespaceOperations(parts),
    ...keyOperations(parts),
    ...namespaceKeyOperations(parts),
    ...reencryptionOperations(parts),
    ...actorOperations(parts),
    ...permissionOperations(parts),
    ...tokenOperations(parts),
    ...sessionOperations(parts),
    ...sessionListOperations(parts),
    ...signInOperations(parts),
    ...taskOperations(parts),
    ...auditOperations(parts),
    ...healthOperations(parts),
  ];
}
