import { type PathPattern, parsePathPattern, pathSegments, patternMatches } from './path-pattern.js';
import { entriesOf, type Permission, type PermissionRequest, type Permissions } from './permission.js';
import { isWithin, readMatcher } from './read-matcher.js';

/** Answers whether a request is allowed. The cost grows with the depth of its namespace, not with how many namespaces the permissions name. */
export type PermissionCheck = (request: PermissionRequest) => boolean;

/** A member of a request that an entry does not accept. */
export type Mismatch = 'namespace' | 'resource' | 'verb' | 'resource_id' | 'method' | 'path';

interface CompiledEntry {
  readonly subtree: boolean;
  readonly path: string;
  readonly resources: ReadonlySet<string> | null;
  readonly verbs: ReadonlySet<string> | null;
  readonly ids: Set<string> | null;
  readonly methods: ReadonlySet<string> | null;
  readonly paths: readonly PathPattern[] | null;
}

/** Prepares permissions for many checks. Entries that differ in their ids alone become one, so that a long list of ids is one look-up. */
export function compilePermissions(permissions: Permissions): PermissionCheck {
  const byPath = new Map<string, CompiledEntry[]>();
  const alike = new Map<string, CompiledEntry>();
  for (const permission of entriesOf(permissions)) {
    const { resource_ids: ids, ...rest } = permission;
    const key = ids === undefined ? null : JSON.stringify([rest.namespace, rest.resources, rest.verbs, rest.methods ?? null, rest.paths ?? null]);
    const same = key === null ? undefined : alike.get(key);
    if (same?.ids !== undefined && same.ids !== null) {
      for (const id of ids ?? []) same.ids.add(id);
      continue;
    }
    const entry = compileEntry(permission);
    if (entry === null) continue;
    if (key !== null) alike.set(key, entry);
    const siblings = byPath.get(entry.path);
    if (siblings === undefined) byPath.set(entry.path, [entry]);
    else siblings.push(entry);
  }
  return (request) => {
    if (readMatcher(request.namespace)?.subtree !== false) return false;
    for (let path = request.namespace; ; path = path.slice(0, path.lastIndexOf('.'))) {
      if (byPath.get(path)?.some((entry) => mismatches(entry, request, true).length === 0) === true) return true;
      if (!path.includes('.')) return false;
    }
  };
}

/** Which members of the request one entry does not accept; none when it allows the request. */
export function entryMismatches(permission: Permission, request: PermissionRequest): readonly Mismatch[] {
  const entry = compileEntry(permission);
  return entry === null ? ['namespace'] : mismatches(entry, request, false);
}

function compileEntry(permission: Permission): CompiledEntry | null {
  const matcher = readMatcher(permission.namespace);
  if (matcher === null) return null;
  return {
    ...matcher,
    resources: permission.resources.includes('*') ? null : new Set(permission.resources),
    verbs: permission.verbs.includes('*') ? null : new Set(permission.verbs),
    ids: permission.resource_ids === undefined ? null : new Set(permission.resource_ids),
    methods: permission.methods === undefined ? null : new Set(permission.methods),
    paths: permission.paths === undefined ? null : permission.paths.flatMap((path) => parsePathPattern(path) ?? []),
  };
}

function mismatches(entry: CompiledEntry, request: PermissionRequest, firstOnly: boolean): readonly Mismatch[] {
  const found: Mismatch[] = [];
  for (const [member, accepts] of TESTS) {
    if (accepts(entry, request)) continue;
    found.push(member);
    if (firstOnly) break;
  }
  return found;
}

const TESTS: readonly (readonly [Mismatch, (entry: CompiledEntry, request: PermissionRequest) => boolean])[] = [
  ['namespace', ({ path, subtree }, { namespace }) => (subtree ? isWithin(path, namespace) : path === namespace)],
  ['resource', ({ resources }, { resource }) => resource !== '' && (resources === null || resources.has(resource))],
  ['verb', ({ verbs }, { verb }) => verb !== '' && (verbs === null || verbs.has(verb))],
  ['resource_id', ({ ids }, { resource_id: id }) => ids === null || (id !== undefined && ids.has(id))],
  ['method', ({ methods, paths }, { proxied }) => (methods === null ? paths === null || proxied !== undefined : methods.has(proxied?.method ?? ''))],
  ['path', ({ paths }, { proxied }) => paths === null || matchesAny(paths, proxied?.path)],
];

function matchesAny(patterns: readonly PathPattern[], path: string | undefined): boolean {
  const segments = path === undefined ? null : pathSegments(path);
  return segments !== null && patterns.some((pattern) => patternMatches(pattern, segments));
}
