import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { Authority } from '../permissions/authority.js';

/** Stands where a secret is; it says nothing of its length. */
export const MASK = '********';

const secrets = z.registry<{ readonly secret: true }>();

/** Text that is a secret: it comes in as it is, and goes out only to callers who may `replay` `secrets` in the namespace of what it belongs to. */
export function secretText(): z.ZodString {
  const schema = z.string().max(65_536).meta({ 'x-sallyport-secret': true });
  secrets.add(schema, { secret: true });
  return schema;
}

/** Replaces what is secret at its places in a value; `namespace` is that of the nearest object around the place that has one. */
type Visit = (value: unknown, namespace: string, each: (secret: unknown, namespace: string, path: string) => unknown, path: string) => unknown;

/** How to find the secrets in values of this schema; null when there are none. */
function visitorOf(schema: z.ZodType): Visit | null {
  if (secrets.has(schema)) return (value, namespace, each, path) => (value === undefined || value === null ? value : each(value, namespace, path));
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault || schema instanceof z.ZodReadonly) {
    return visitorOf(schema.unwrap() as z.ZodType);
  }
  if (schema instanceof z.ZodArray) return arrayVisitor(visitorOf(schema.element as z.ZodType));
  if (schema instanceof z.ZodRecord) return recordVisitor(visitorOf(schema.valueType as z.ZodType));
  if (schema instanceof z.ZodObject) return objectVisitor(schema.shape);
  if (schema instanceof z.ZodUnion) return unionVisitor(schema.options as readonly z.ZodType[]);
  return null;
}

function arrayVisitor(element: Visit | null): Visit | null {
  if (element === null) return null;
  return (value, namespace, each, path) =>
    Array.isArray(value) ? value.map((item, index) => element(item, namespace, each, `${path}.${index}`)) : value;
}

function recordVisitor(member: Visit | null): Visit | null {
  if (member === null) return null;
  return (value, namespace, each, path) =>
    isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, member(item, namespace, each, `${path}.${key}`)])) : value;
}

function objectVisitor(shape: Readonly<Record<string, z.ZodType>>): Visit | null {
  const members = Object.entries(shape).flatMap(([key, schema]) => {
    const visit = visitorOf(schema);
    return visit === null ? [] : [[key, visit] as const];
  });
  if (members.length === 0) return null;
  return (value, around, each, path) => {
    if (!isObject(value)) return value;
    const namespace = typeof value.namespace === 'string' ? value.namespace : around;
    const masked: Record<string, unknown> = { ...value };
    for (const [key, visit] of members) if (Object.hasOwn(value, key)) masked[key] = visit(value[key], namespace, each, `${path}.${key}`);
    return masked;
  };
}

/** Whatever is a secret in one of the forms is treated as one in all of them. */
function unionVisitor(options: readonly z.ZodType[]): Visit | null {
  const visits = options.flatMap((option) => visitorOf(option) ?? []);
  if (visits.length === 0) return null;
  return (value, namespace, each, path) => visits.reduce((result, visit) => visit(result, namespace, each, path), value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What one operation does about secrets. */
export interface Redaction {
  /** The body as this caller may see it, and whether something was masked. */
  readonly mask: (body: unknown, authority: Authority | null) => { readonly body: unknown; readonly redacted: boolean };
  /** Throws `redacted_value_refused` when somebody sends back what was masked. */
  readonly refuseMasked: (body: unknown) => void;
}

/** Finds the secrets in the schemas of an operation once. */
export function redactionOf({ result, body }: { readonly result?: z.ZodType | undefined; readonly body?: z.ZodType | undefined }): Redaction {
  const outgoing = result === undefined ? null : visitorOf(result);
  const incoming = body === undefined ? null : visitorOf(body);
  return {
    mask(value, authority) {
      if (outgoing === null) return { body: value, redacted: false };
      let redacted = false;
      const masked = outgoing(
        value,
        'root',
        (secret, namespace) => {
          if (authority?.permits({ namespace, resource: 'secrets', verb: 'replay' }) === true) return secret;
          redacted = true;
          return MASK;
        },
        '',
      );
      return { body: masked, redacted };
    },
    refuseMasked(value) {
      incoming?.(
        value,
        'root',
        (secret, _namespace, path) => {
          if (typeof secret === 'string' && /^\*+$/.test(secret)) {
            throw new SallyportError('redacted_value_refused', {
              detail: `body ${path.slice(1)}: this is what stands for a secret that is not shown`,
            });
          }
          return secret;
        },
        '',
      );
    },
  };
}
