import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { parsePathPattern } from './path-pattern.js';
import { readMatcher } from './read-matcher.js';
import { templateProblem } from './template-text.js';

/**
 * One rule of what is allowed, as it stands in JSON. `*` among the resources or the verbs means any. Without `resource_ids` it holds for every object
 * and for what concerns no object yet; with them it holds for those objects alone. With `methods` or `paths` it holds only for requests that are sent
 * through a connection: those with such a method and a path of such a pattern.
 */
export interface Permission {
  readonly namespace: string;
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resource_ids?: readonly string[];
  readonly methods?: readonly string[];
  readonly paths?: readonly string[];
}

/** What is asked: `verb` on a `resource` of a namespace, on the object `resource_id` if there is one, by sending `proxied` if something is sent. */
export interface PermissionRequest {
  readonly namespace: string;
  readonly resource: string;
  readonly verb: string;
  readonly resource_id?: string;
  readonly proxied?: { readonly method: string; readonly path: string };
}

/** What somebody may do. «Nothing» is a value of its own, so that no caller can take an empty list for «no limit». */
export type Permissions = { readonly kind: 'nothing' } | { readonly kind: 'some'; readonly entries: readonly [Permission, ...Permission[]] };

/** May do nothing at all. */
export const nothing: Permissions = { kind: 'nothing' };

/** Everything, everywhere. */
export const everything: Permissions = { kind: 'some', entries: [{ namespace: 'root.**', resources: ['*'], verbs: ['*'] }] };

/** The union of the entries; nothing when there is none. */
export function permissionsOf(entries: readonly Permission[]): Permissions {
  const [first, ...rest] = entries;
  return first === undefined ? nothing : { kind: 'some', entries: [first, ...rest] };
}

/** The entries; none for nothing. */
export function entriesOf(permissions: Permissions): readonly Permission[] {
  return permissions.kind === 'nothing' ? [] : permissions.entries;
}

/** True when it allows no request whatever. */
export function isNothing(permissions: Permissions): boolean {
  return permissions.kind === 'nothing';
}

const NAME = /^(?=.{1,64}$)(?:\*|[a-z][a-z0-9_-]*(?:\/[a-z][a-z0-9_-]*)*)$/;
const METHOD = /^[A-Z][A-Z0-9-]{0,31}$/;
const ID = /^[\x21-\x7e]{1,1024}$/;

// An empty list is refused wherever it could be read as «any»: who means any leaves the member out, who means none leaves the entry out.
function list(pattern: RegExp, most: number, expected: string): z.ZodReadonly<z.ZodArray<z.ZodString>> {
  return z.array(z.string().regex(pattern, expected)).min(1, 'must name at least one').max(most).readonly();
}

const names = list(NAME, 64, 'must be a name such as `connections`, of at most 64 characters, or `*`');

function schemaWith(namespaceProblem: (text: string) => string | null, ids: z.ZodReadonly<z.ZodArray<z.ZodString>>) {
  return z
    .strictObject({
      namespace: z
        .string()
        .max(1024)
        .check(({ value, issues }) => {
          const problem = namespaceProblem(value);
          if (problem !== null) issues.push({ code: 'custom', message: problem, input: value });
        }),
      resources: names,
      verbs: names,
      resource_ids: ids.optional(),
      methods: list(METHOD, 32, 'must be a method such as `GET`').optional(),
      paths: z
        .array(z.string().refine((text) => parsePathPattern(text) !== null, 'must be a path such as `/repos/*/issues/**`'))
        .min(1, 'must name at least one')
        .max(64)
        .readonly()
        .optional(),
    })
    .transform(withoutUndefined)
    .readonly();
}

function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}

const plainId = list(ID, 256, 'must be an id').refine((ids) => !ids.includes('*'), 'leave `resource_ids` out to mean every object');
const MATCHER_PROBLEM = 'must be a namespace such as `root.team`, or `root.team.**` with everything below it';

/** A permission without templates, as a token carries it. Unknown members, empty lists and malformed names are refused. */
export const permissionSchema = schemaWith((text) => (readMatcher(text) === null ? MATCHER_PROBLEM : null), plainId);

/** A permission as it is stored for an actor: its namespace and its ids may hold templates such as `{{external_id}}`. */
export const permissionTemplateSchema = schemaWith(
  (text) =>
    templateProblem(text) ??
    (readMatcher(text.replace(/\{\{.*?\}\}/g, (_, at: number) => (at === 0 ? 'root' : 'x'))) === null ? MATCHER_PROBLEM : null),
  plainId.refine((ids) => ids.every((id) => templateProblem(id) === null), 'holds an unknown template variable'),
);

// What one actor or one token may have altogether: every request pays for it, and so does whoever compares two of them.
const MOST_ENTRIES = 256;
const MOST_IDS = 1000;
const MOST_PATHS = 256;
const MOST_BYTES = 32 * 1024;

/** Entries read from outside. Fails with `permission_invalid`, which names the first member that is wrong, or what they are too many of. */
export function parsePermissions(input: unknown, schema: typeof permissionSchema = permissionSchema): readonly Permission[] {
  // Before it reads them one by one.
  if (Array.isArray(input) && input.length > MOST_ENTRIES) throw permissionInvalid(`: have more than ${MOST_ENTRIES} entries`);
  const result = z.array(schema).safeParse(input);
  if (result.success) return requireBounded(result.data);
  const issue = result.error.issues[0];
  const place = issue === undefined ? '' : issue.path.map(String).join('.');
  throw permissionInvalid(`${place === '' ? '' : `.${place}`}: ${issue?.message ?? 'not a list'}`);
}

/** The permissions themselves. Fails with `permission_invalid` when they are more than one actor or one token may have. */
export function requireBounded(permissions: readonly Permission[]): readonly Permission[] {
  const excess = excessOf(permissions);
  if (excess !== null) throw permissionInvalid(`: have more than ${excess}`);
  return permissions;
}

/** True when they are no more than one actor or one token may have. Those that were stored and are more allow nothing. */
export function areBounded(permissions: readonly Permission[]): boolean {
  return excessOf(permissions) === null;
}

function excessOf(permissions: readonly Permission[]): string | null {
  if (permissions.length > MOST_ENTRIES) return `${MOST_ENTRIES} entries`;
  if (sumOf(permissions, ({ resource_ids: ids }) => ids) > MOST_IDS) return `${MOST_IDS} resource_ids in all`;
  if (sumOf(permissions, ({ paths }) => paths) > MOST_PATHS) return `${MOST_PATHS} paths in all`;
  return Buffer.byteLength(JSON.stringify(permissions)) > MOST_BYTES ? `${MOST_BYTES} bytes as JSON` : null;
}

function sumOf(permissions: readonly Permission[], listOf: (permission: Permission) => readonly string[] | undefined): number {
  return permissions.reduce((sum, permission) => sum + (listOf(permission)?.length ?? 0), 0);
}

function permissionInvalid(what: string): SallyportError {
  return new SallyportError('permission_invalid', { detail: `permissions${what}` });
}
