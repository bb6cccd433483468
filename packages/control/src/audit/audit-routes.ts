import { z } from 'zod';
import { wholeNamespaces } from '../permissions/list-scope.js';
import { listOf, listQuery, pageAnswer, pageRequest, timeSchema, timeText } from '../server/list-schemas.js';
import { type Operation, operation } from '../server/operation.js';
import type { AuditTrail } from './audit-trail.js';

/** What the operation works with. */
export interface AuditRoutes {
  readonly audit: Pick<AuditTrail, 'list'>;
}

const auditEventSchema = z
  .object({
    id: z.string(),
    created_at: timeSchema,
    actor_id: z.string().describe('`system` for what the system does on its own.'),
    request_id: z.string().optional(),
    action: z.string().describe('`RESOURCES.VERB`, as `namespaces.create`.'),
    resource_type: z.string(),
    resource_id: z.string(),
    namespace: z.string(),
    before: z.unknown().optional().describe('Left out when it is new.'),
    after: z.unknown().optional().describe('Left out when it is gone.'),
  })
  .meta({ id: 'AuditEvent', description: 'One administrative change; secrets are digests.' });

/** `GET /audit-events`. */
export function auditOperations({ audit }: AuditRoutes): readonly Operation[] {
  return [
    operation({
      name: 'listAuditEvents',
      method: 'GET',
      path: '/audit-events',
      services: ['admin-api'],
      tag: 'audit_events',
      summary: 'Administrative changes, the newest first',
      access: { resource: 'audit_events', verb: 'list' },
      query: listQuery({
        namespace: z.string().max(1024).optional().describe('A path, or `path.**` with everything below it.'),
        actor_id: z.string().max(128).optional(),
        action: z.string().max(128).optional(),
        resource_type: z.string().max(64).optional(),
        resource_id: z.string().max(1024).optional(),
      }),
      status: 200,
      result: listOf(auditEventSchema),
      errors: ['cursor_invalid', 'list_order_invalid', 'namespace_path_invalid'],
      handle: async ({ query, caller }) => {
        const scope = caller.by.authority.scope({ resource: 'audit_events', verb: 'list' });
        const page = await audit.list(pageRequest(query), wholeNamespaces(scope));
        return {
          body: pageAnswer(page, ({ id, createdAt, actorId, requestId, action, resourceType, resourceId, namespace, before, after }) => ({
            ...{ id, created_at: timeText(createdAt), actor_id: actorId, action, resource_type: resourceType, resource_id: resourceId, namespace },
            ...(requestId === undefined ? {} : { request_id: requestId }),
            ...(before === undefined ? {} : { before }),
            ...(after === undefined ? {} : { after }),
          })),
        };
      },
    }),
  ];
}
