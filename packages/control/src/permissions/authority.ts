import { SallyportError } from '@sallyport/sdk';
import { covers, intersect } from './algebra.js';
import { compilePermissions } from './compiled-permissions.js';
import { type Explanation, explain } from './explain.js';
import { type ListScope, listScope } from './list-scope.js';
import type { PermissionRequest, Permissions } from './permission.js';

/** What a caller may do: what its actor may, narrowed by what its token says, if its token says anything. */
export interface Authority {
  /** The permissions that are left. A grant made by this caller must be covered by them. */
  readonly permissions: Permissions;
  /** Whether a request is allowed by the actor's permissions and by the token's. */
  readonly permits: (request: PermissionRequest) => boolean;
  /** Fails with `permission_denied` when a request is not allowed. */
  readonly require: (request: PermissionRequest) => void;
  /** The rows that a list may show. Fails with `permission_denied` when there can be none. */
  readonly scope: (query: { readonly resource: string; readonly verb: string; readonly namespace?: string }) => ListScope & { readonly kind: 'some' };
  /** Fails with `grant_exceeds_granter` unless everything in the grant is allowed to this caller. */
  readonly requireGrant: (grant: Permissions) => void;
  /** Why a request is allowed or not: what the actor's permissions say, and what the token's do. */
  readonly explain: (request: PermissionRequest) => { readonly allowed: boolean; readonly actor: Explanation; readonly token?: Explanation };
}

/** Puts an actor's permissions and a token's restriction together. `undefined` is a token without restriction; «nothing» is one that allows nothing. */
export function authorityOf(actor: Permissions, restriction?: Permissions): Authority {
  const permissions = restriction === undefined ? actor : intersect(actor, restriction);
  const permits = compilePermissions(permissions);
  return {
    permissions,
    permits,
    require(request) {
      if (!permits(request)) throw denied(request.verb, request.resource, request.namespace);
    },
    scope(query) {
      const scope = listScope(permissions, query);
      if (scope.kind === 'nothing') throw denied(query.verb, query.resource, query.namespace);
      return scope;
    },
    requireGrant(grant) {
      if (!covers(permissions, grant)) throw new SallyportError('grant_exceeds_granter');
    },
    explain(request) {
      const ofActor = explain(actor, request);
      if (restriction === undefined) return { allowed: ofActor.allowed, actor: ofActor };
      const ofToken = explain(restriction, request);
      return { allowed: ofActor.allowed && ofToken.allowed, actor: ofActor, token: ofToken };
    },
  };
}

function denied(verb: string, resource: string, namespace: string | undefined): SallyportError {
  return new SallyportError('permission_denied', {
    detail: `${verb} on ${resource}${namespace === undefined ? '' : ` in ${namespace}`} is not allowed`,
  });
}
