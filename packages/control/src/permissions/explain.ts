import { entryMismatches, type Mismatch } from './compiled-permissions.js';
import { entriesOf, type Permission, type PermissionRequest, type Permissions } from './permission.js';

/** What one entry says to a request: that it allows it, or which members of the request it is not about. */
interface EntryVerdict {
  readonly index: number;
  readonly permission: Permission;
  readonly allows: boolean;
  readonly mismatches: readonly Mismatch[];
  readonly reason: string;
}

/** Why a request is allowed or not. `allowed_by` is the first entry that allows it. */
export interface Explanation {
  readonly allowed: boolean;
  readonly allowed_by?: number;
  readonly reason: string;
  readonly entries: readonly EntryVerdict[];
}

/** Goes through the entries one by one. Its answer is always that of the compiled check. */
export function explain(permissions: Permissions, request: PermissionRequest): Explanation {
  const entries = entriesOf(permissions).map((permission, index) => judge(permission, index, request));
  const first = entries.find(({ allows }) => allows);
  if (first !== undefined) return { allowed: true, allowed_by: first.index, reason: `entry ${first.index} allows it`, entries };
  return { allowed: false, reason: entries.length === 0 ? 'there are no permissions at all' : 'no entry allows it', entries };
}

function judge(permission: Permission, index: number, request: PermissionRequest): EntryVerdict {
  const mismatches = entryMismatches(permission, request);
  const allows = mismatches.length === 0;
  return {
    index,
    permission,
    allows,
    mismatches,
    reason: allows ? 'allows the request' : mismatches.map((member) => sentence(member, permission, request)).join('; '),
  };
}

function sentence(member: Mismatch, permission: Permission, request: PermissionRequest): string {
  switch (member) {
    case 'namespace':
      return `namespace ${request.namespace} is not in ${permission.namespace}`;
    case 'resource':
      return `resource ${request.resource} is not among ${permission.resources.join(', ')}`;
    case 'verb':
      return `verb ${request.verb} is not among ${permission.verbs.join(', ')}`;
    case 'resource_id':
      return request.resource_id === undefined
        ? 'it is limited to certain objects, and the request names none'
        : `${request.resource_id} is not among its resource_ids`;
    case 'method':
      return request.proxied === undefined
        ? 'it is only about requests sent through a connection'
        : `method ${request.proxied.method} is not among its methods`;
    case 'path':
      return request.proxied === undefined
        ? 'it is only about certain paths, and nothing is sent'
        : `path ${request.proxied.path} matches none of its paths`;
  }
}
