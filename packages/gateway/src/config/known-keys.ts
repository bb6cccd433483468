import type { Tree } from './document-tree.js';
import { type JsonSchema, writtenSchema } from './json-schema.js';

/** Keys whose value may hold a secret, by intent or by accident: their lines are never shown. */
const UNSHOWABLE = new Set(['token', 'value', 'username', 'format', 'command']);

const SHOWABLE = showableKeys(writtenSchema, new Set());

/** Whether a scalar at this path cannot be a secret: it stands under a known key for plain settings, and under none for secrets. */
export function isShowable(path: readonly PropertyKey[]): boolean {
  const keys = path.filter((segment) => typeof segment === 'string');
  const last = keys.at(-1);
  return last !== undefined && SHOWABLE.has(last) && !keys.some((key) => UNSHOWABLE.has(key));
}

/**
 * The keys that the map at `path` of a file may hold. Where the schema has several forms, those of the form that the map's `type` names, or
 * of all forms when it names none. Empty where the keys are names that the user chooses, and where no map belongs.
 */
export function knownKeys(root: Tree, path: readonly PropertyKey[]): string[] {
  let schemas = [writtenSchema];
  let node: Tree | null = root;
  for (const segment of path) {
    schemas = schemas.flatMap((schema) => step(schema, node, segment));
    if (typeof segment === 'number') node = node?.kind === 'list' ? (node.items[segment] ?? null) : node;
    else node = node?.kind === 'map' ? (node.entries.get(String(segment))?.node ?? null) : null;
  }
  const found = schemas.flatMap((schema) => formsOf(schema, node)).flatMap((schema) => Object.keys(schema.properties ?? {}));
  return [...new Set(found)];
}

/** Where in the file a key belongs that stands where it does not: the paths of all maps that know it, with `NAME` for chosen names. */
export function homesOf(key: string): string[] {
  const homes: string[] = [];
  visit(writtenSchema, '', (schema, path) => {
    if (schema.properties !== undefined && Object.hasOwn(schema.properties, key) && !homes.includes(path)) homes.push(path);
  });
  return homes.filter((home) => home !== '');
}

function step(schema: JsonSchema, node: Tree | null, segment: PropertyKey): JsonSchema[] {
  return formsOf(schema, node).flatMap((form) => {
    if (typeof segment === 'number') return form.items === undefined ? [form] : [form.items];
    const next = form.properties?.[String(segment)] ?? form.additionalProperties;
    return next === undefined || next === false ? [] : [next];
  });
}

function formsOf(schema: JsonSchema, node: Tree | null): JsonSchema[] {
  const forms = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].filter((form) => form.type !== undefined);
  if (forms.length === 0) return [schema];
  const written = node?.kind === 'map' ? node.entries.get('type')?.node : undefined;
  const named = forms.filter((form) => written?.kind === 'scalar' && form.properties?.type?.const === written.value);
  return named.length > 0 ? named : forms;
}

function visit(schema: JsonSchema, path: string, see: (schema: JsonSchema, path: string) => void): void {
  see(schema, path);
  for (const [key, child] of Object.entries(schema.properties ?? {})) visit(child, path === '' ? key : `${path}.${key}`, see);
  if (schema.additionalProperties) visit(schema.additionalProperties, `${path}.NAME`, see);
  if (schema.items) visit(schema.items, `${path}[]`, see);
  for (const form of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) visit(form, path, see);
}

function showableKeys(schema: JsonSchema, found: Set<string>): Set<string> {
  visit(schema, '', ({ properties = {} }) => {
    for (const [key, child] of Object.entries(properties)) if (holdsScalars(child)) found.add(key);
  });
  return found;
}

function holdsScalars(schema: JsonSchema): boolean {
  const forms = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].filter((form) => form.type !== undefined);
  if (forms.length > 0) return forms.some(holdsScalars);
  return schema.items === undefined ? schema.type !== 'object' : holdsScalars(schema.items);
}
