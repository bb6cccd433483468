import type { Tree } from './document-tree.js';
import { alternativesOf, discriminatorOf, type JsonSchema } from './written-schema.js';

/** Keys whose value may hold a secret, by intent or by accident: their lines are never shown. */
const UNSHOWABLE: ReadonlySet<PropertyKey> = new Set([
  'token',
  'value',
  'base64',
  'password',
  'username',
  'format',
  'command',
  'headers',
  'client_id',
  'client_secret',
  'private_key',
  'role_id',
  'secret_id',
  'extra_params',
  'public_key',
  'public_keys',
]);

/** Whether a scalar at this path cannot be a secret: it stands where the schema knows a plain setting, and under no key for secrets. */
export function isShowable(written: JsonSchema, path: readonly PropertyKey[]): boolean {
  if (path.some((segment) => UNSHOWABLE.has(segment))) return false;
  let schemas = [written];
  for (const segment of path) {
    schemas = schemas.flatMap((schema) => formsOf(schema, null)).flatMap((form) => childrenOf(form, segment));
    // In place of the references `env` and `file` of a secret, somebody may have put the secret.
    if (schemas.some((schema) => schema.writeOnly === true)) return false;
  }
  return schemas.some(holdsScalars);
}

/** Whether what stands at this path of a valid file is a secret itself, not the name of where one is. */
export function holdsSecret(written: JsonSchema, root: Tree, path: readonly PropertyKey[]): boolean {
  return schemasAt(written, path, root).some(({ schema }) => schema.writeOnly === true);
}

/**
 * The keys that the map at `path` of a file may hold. Where the schema has several forms, those of the form that the map's `type` (or the like) names, or
 * of all forms when it names none. Empty where the keys are names that the user chooses, and where no map belongs.
 */
export function knownKeys(written: JsonSchema, root: Tree, path: readonly PropertyKey[]): string[] {
  const found = schemasAt(written, path, root)
    .flatMap(({ schema, node }) => formsOf(schema, node))
    .flatMap((form) => Object.keys(form.properties ?? {}));
  return [...new Set(found)];
}

/** Where in the file a key belongs that stands where it does not: the paths of all maps that know it, with `NAME` for chosen names. */
export function homesOf(written: JsonSchema, key: string): string[] {
  const homes: string[] = [];
  visit(written, '', (schema, path) => {
    if (schema.properties !== undefined && Object.hasOwn(schema.properties, key) && !homes.includes(path)) homes.push(path);
  });
  return homes.filter((home) => home !== '');
}

/** The schemas that a path leads to, with the node of the file there; more than one where the forms of a map differ and none is chosen. */
function schemasAt(written: JsonSchema, path: readonly PropertyKey[], root: Tree): { schema: JsonSchema; node: Tree | null }[] {
  let schemas = [written];
  let node: Tree | null = root;
  for (const segment of path) {
    const parent = node;
    schemas = schemas.flatMap((schema) => formsOf(schema, parent)).flatMap((form) => childrenOf(form, segment));
    if (typeof segment === 'number') node = node?.kind === 'list' ? (node.items[segment] ?? null) : node;
    else node = node?.kind === 'map' ? (node.entries.get(String(segment))?.node ?? null) : null;
  }
  const last = node;
  return schemas.map((schema) => ({ schema, node: last }));
}

function childrenOf(form: JsonSchema, segment: PropertyKey): JsonSchema[] {
  // One item may stand for a list of one, so an index into anything else leads to the thing itself.
  if (typeof segment === 'number') return [form.items ?? form];
  const key = String(segment);
  const known = form.properties !== undefined && Object.hasOwn(form.properties, key) ? form.properties[key] : undefined;
  const next = known ?? form.additionalProperties;
  return next === undefined || next === false ? [] : [next];
}

function formsOf(schema: JsonSchema, node: Tree | null): readonly JsonSchema[] {
  const forms = alternativesOf(schema);
  if (forms.length === 0) return [schema];
  if (node?.kind !== 'map') return forms;
  const key = discriminatorOf(forms.filter((form) => form.properties !== undefined));
  const word = key === null ? undefined : node.entries.get(key)?.node;
  const named = forms.filter((form) => key !== null && word?.kind === 'scalar' && form.properties?.[key]?.const === word.value);
  return named.length > 0 ? named : forms;
}

function visit(schema: JsonSchema, path: string, see: (schema: JsonSchema, path: string) => void): void {
  see(schema, path);
  for (const [key, child] of Object.entries(schema.properties ?? {})) visit(child, path === '' ? key : `${path}.${key}`, see);
  if (schema.additionalProperties) visit(schema.additionalProperties, `${path}.NAME`, see);
  if (schema.items) visit(schema.items, `${path}[]`, see);
  for (const form of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) visit(form, path, see);
}

function holdsScalars(schema: JsonSchema): boolean {
  const forms = alternativesOf(schema);
  if (forms.length > 0) return forms.some(holdsScalars);
  if (schema.items !== undefined) return holdsScalars(schema.items);
  // Where nothing is known of the type, anything may stand.
  return schema.type !== undefined && schema.type !== 'object';
}
