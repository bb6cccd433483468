import { z } from 'zod';
import { configSchema } from './schema.js';

/** A JSON Schema as far as this one uses the vocabulary. */
export interface JsonSchema {
  readonly $schema?: string;
  readonly $id?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly writeOnly?: boolean;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | false;
  readonly propertyNames?: JsonSchema;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

const REFERENCE = '\\$\\{';

/** What may be written in a configuration file, as the schema has it: the form that suggestions and the reference page are made from. */
export const writtenSchema: JsonSchema = z.toJSONSchema(
  configSchema({ variable: () => undefined, absolute: (path) => path, read: () => '', requireReadable: () => undefined }),
  { io: 'input' },
) as JsonSchema;

/**
 * The JSON Schema (draft 2020-12) of a configuration file, for editors. Wherever a number, a word or a patterned text is expected, a text
 * with a `${NAME}` in it is accepted as well: only the gateway knows what it will stand for.
 */
export function configJsonSchema(): JsonSchema {
  const { $schema = 'https://json-schema.org/draft/2020-12/schema', ...schema } = acceptReferences(writtenSchema);
  return { $schema, $id: 'urn:sallyport:config', title: 'Sallyport configuration', ...schema };
}

function acceptReferences(schema: JsonSchema): JsonSchema {
  const { description, default: fallback, ...rest } = schema;
  const annotations = { ...(description !== undefined && { description }), ...(fallback !== undefined && { default: fallback }) };
  if (schema.pattern !== undefined) return { ...schema, pattern: `${schema.pattern}|${REFERENCE}` };
  if (schema.type === 'integer' || (schema.type === 'boolean' && schema.const === undefined) || schema.enum !== undefined) {
    return { ...annotations, anyOf: [rest, { type: 'string', pattern: REFERENCE }] };
  }
  return {
    ...schema,
    ...(schema.properties && {
      properties: Object.fromEntries(Object.entries(schema.properties).map(([key, value]) => [key, acceptReferences(value)])),
    }),
    ...(schema.additionalProperties && { additionalProperties: acceptReferences(schema.additionalProperties) }),
    ...(schema.items && { items: acceptReferences(schema.items) }),
    ...(schema.anyOf && { anyOf: schema.anyOf.map(acceptReferences) }),
    ...(schema.oneOf && { oneOf: schema.oneOf.map(acceptReferences) }),
  };
}
