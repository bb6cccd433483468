import fc from 'fast-check';
import { entriesOf, type Permission, type PermissionRequest, type Permissions, permissionsOf } from './permission.js';

/** A rule of the meaning in the plainest words possible: regular expressions and loops, nothing shared with what is tested. */
export function oracle(permissions: Permissions, request: PermissionRequest): boolean {
  return entriesOf(permissions).some((entry) => {
    const namespace = entry.namespace.endsWith('.**')
      ? `${request.namespace}.`.startsWith(`${entry.namespace.slice(0, -3)}.`)
      : request.namespace === entry.namespace;
    const named = (names: readonly string[], name: string): boolean => names.includes('*') || names.includes(name);
    const { proxied } = request;
    return (
      namespace &&
      named(entry.resources, request.resource) &&
      named(entry.verbs, request.verb) &&
      (entry.resource_ids === undefined || entry.resource_ids.some((id) => id === request.resource_id)) &&
      (entry.methods === undefined || entry.methods.some((method) => method === proxied?.method)) &&
      (entry.paths === undefined || entry.paths.some((path) => proxied !== undefined && pathMatches(path, proxied.path)))
    );
  });
}

function pathMatches(pattern: string, path: string): boolean {
  if (path.includes('..')) return false;
  const source = pattern
    .split('/')
    .slice(1)
    .map((part) => (part === '**' ? '(?:/[^/]*)*' : part === '*' ? '/[^/]*' : `/${part}`))
    .join('');
  return new RegExp(`^${source}$`).test(path === '/' && pattern === '/**' ? '' : path);
}

/** Every request of a small world. Each list has a value more than any permission spells out, which only wildcards reach. */
export const universe: readonly PermissionRequest[] = [
  'root',
  'root.a',
  'root.a.b',
  'root.ab',
  'root.a.other',
  'root.a.b.other',
  'root.ab.other',
  'root.other',
].flatMap((namespace) =>
  ['x', 'y', 'other'].flatMap((resource) =>
    ['get', 'put', 'other'].flatMap((verb) =>
      [undefined, 'i1', 'i2', 'other'].flatMap((id) =>
        PROXIED().map((proxied) => ({
          namespace,
          resource,
          verb,
          ...(id === undefined ? {} : { resource_id: id }),
          ...(proxied === undefined ? {} : { proxied }),
        })),
      ),
    ),
  ),
);

function PROXIED(): readonly (PermissionRequest['proxied'] | undefined)[] {
  const paths = [
    '/p',
    '/q',
    '/other',
    '/p/q',
    '/p/other',
    '/other/q',
    '/other/other',
    '/p/q/other',
    '/p/other/other',
    '/other/other/other',
    '/p/../q',
  ];
  return [undefined, ...['GET', 'POST', 'OTHER'].flatMap((method) => paths.map((path) => ({ method, path })))];
}

function some(values: readonly string[]): fc.Arbitrary<string[]> {
  return fc.subarray([...values], { minLength: 1, maxLength: 2 });
}

/** Entries of the small world. */
export const anEntry: fc.Arbitrary<Permission> = fc.record(
  {
    namespace: fc.constantFrom('root', 'root.**', 'root.a', 'root.a.**', 'root.a.b', 'root.a.b.**', 'root.ab', 'root.ab.**'),
    resources: fc.oneof(some(['x', 'y']), fc.constant(['*'])),
    verbs: fc.oneof(some(['get', 'put']), fc.constant(['*'])),
    resource_ids: some(['i1', 'i2']),
    methods: some(['GET', 'POST']),
    paths: some(['/p', '/q', '/*', '/**', '/p/**', '/p/*', '/*/q', '/*/**', '/p/q', '/*/*/**']),
  },
  { requiredKeys: ['namespace', 'resources', 'verbs'] },
);

/** Permissions of the small world, nothing included. */
export const somePermissions: fc.Arbitrary<Permissions> = fc.array(anEntry, { maxLength: 5 }).map(permissionsOf);

/** True when both allow the same requests of the small world. */
export function meanTheSame(a: Permissions, b: Permissions): boolean {
  return universe.every((request) => oracle(a, request) === oracle(b, request));
}
