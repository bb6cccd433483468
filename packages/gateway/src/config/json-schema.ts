import { fileShape } from './file-shape.js';
import type { Section } from './section.js';
import type { JsonSchema } from './written-schema.js';

const REFERENCE = '\\$\\{';

/**
 * The JSON Schema (draft 2020-12) of a configuration file, for editors. Wherever a number, a word or a patterned text is expected, a text
 * with a `${NAME}` in it is accepted as well: only who reads the file knows what it will stand for. Without the section of the control plane, it may hold anything.
 */
export function configJsonSchema<Control>(control: Section<Control> | null = null): JsonSchema {
  const { $schema = 'https://json-schema.org/draft/2020-12/schema', ...schema } = acceptReferences(fileShape(control).written);
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
