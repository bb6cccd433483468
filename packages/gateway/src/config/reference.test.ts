// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what the configuration fills in.
import { describe, expect, test } from 'vitest';
import { configJsonSchema } from './json-schema.js';
import { parseConfig } from './load.js';
import { configReference } from './reference.js';
import type { JsonSchema } from './written-schema.js';

test('the example of the reference page is valid as it stands', () => {
  const example = /```yaml\n(.*?)```/s.exec(configReference())?.[1] as string;
  const { gateway } = parseConfig(example, { path: '/x.yaml', env: { CI_TOKEN: 'a-token-of-some-length' } });
  expect(gateway.policy.rules).toHaveLength(3);
});

/** The paths of all keys below a schema that lack what `has` asks for. */
function lacking(schema: JsonSchema, has: (schema: JsonSchema) => boolean, path = ''): string[] {
  const keys = Object.entries(schema.properties ?? {}).flatMap(([key, child]) => [
    ...(has(child) ? [] : [`${path}.${key}`]),
    ...lacking(child, has, `${path}.${key}`),
  ]);
  const others = [
    ...(schema.anyOf ?? []),
    ...(schema.oneOf ?? []),
    ...(schema.items ? [schema.items] : []),
    ...(schema.additionalProperties ? [schema.additionalProperties] : []),
  ];
  return [...keys, ...others.flatMap((child) => lacking(child, has, path))];
}

function mapsOf(schema: JsonSchema): JsonSchema[] {
  const children = [...Object.values(schema.properties ?? {}), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  if (schema.items) children.push(schema.items);
  if (schema.additionalProperties) children.push(schema.additionalProperties);
  return [...(schema.type === 'object' ? [schema] : []), ...children.flatMap(mapsOf)];
}

describe('the JSON Schema', () => {
  const schema = configJsonSchema();

  test('is draft 2020-12 and has an id and a title', () => {
    expect(schema).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: expect.stringContaining('config'),
      title: expect.any(String),
    });
  });

  test('describes every key', () => {
    expect(lacking(schema, ({ description = '' }) => description.length > 5)).toEqual([]);
  });

  test('closes every map', () => {
    expect(mapsOf(schema).filter(({ additionalProperties }) => additionalProperties === undefined)).toEqual([]);
  });

  test('lets a variable stand for numbers, switches and words', () => {
    const text = JSON.stringify(schema.properties?.gateway?.properties);
    for (const kind of ['"type":"integer"', '"type":"boolean"', '"enum":']) {
      expect(text.split(kind).length).toBeGreaterThan(1);
    }
    const forward = schema.properties?.gateway?.properties?.listeners?.properties?.forward?.properties;
    const reference = { type: 'string', pattern: '\\$\\{' };
    expect(forward?.port?.anyOf?.[1]).toEqual(reference);
    expect(forward?.insecure_targets?.anyOf?.[1]).toEqual(reference);
    expect(schema.properties?.gateway?.properties?.policy?.properties?.mode?.anyOf?.[1]).toEqual(reference);
    expect(new RegExp(schema.properties?.gateway?.properties?.timeouts?.properties?.head?.pattern as string).test('${HEAD}')).toBe(true);
  });
});
