import { readFileSync } from 'node:fs';
import { configJsonSchema, configReference } from '@sallyport/gateway';
import { describe, expect, test } from 'vitest';
import { controlSection } from './control-section.js';

const docs = (name: string): string => readFileSync(new URL(`../../../../docs/${name}`, import.meta.url), 'utf8');

describe('the generated files are fresh (scripts/generate-config-docs.mjs makes them)', () => {
  test('docs/config.schema.json', () => {
    expect(JSON.parse(docs('config.schema.json'))).toEqual(configJsonSchema(controlSection));
  });

  test('docs/configuration.md', () => {
    expect(docs('configuration.md')).toBe(configReference(controlSection));
  });
});

type Schema = ReturnType<typeof configJsonSchema>;

function childrenOf(schema: Schema): Schema[] {
  return [
    ...Object.values(schema.properties ?? {}),
    ...(schema.anyOf ?? []),
    ...(schema.oneOf ?? []),
    ...(schema.items ? [schema.items] : []),
    ...(schema.additionalProperties ? [schema.additionalProperties] : []),
  ];
}

/** The paths of all keys below a schema that have no description. */
function undescribed(schema: Schema, path: string): string[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, { description = '' }]) => (description.length > 5 ? [] : [`${path}.${key}`]));
  return [...own, ...childrenOf(schema).flatMap((child) => undescribed(child, path))];
}

function openMaps(schema: Schema): Schema[] {
  const own = schema.type === 'object' && schema.additionalProperties === undefined ? [schema] : [];
  return [...own, ...childrenOf(schema).flatMap(openMaps)];
}

describe('the JSON Schema of the section', () => {
  const schema = configJsonSchema(controlSection).properties?.control as Schema;

  test('describes every key', () => {
    expect(undescribed(schema, 'control')).toEqual([]);
  });

  test('closes every map', () => {
    expect(openMaps(schema)).toEqual([]);
  });

  test('marks what is secret', () => {
    const auth = schema.properties?.system_auth?.properties;
    const secrets = [
      auth?.global_key?.properties?.vault_token,
      auth?.issuers?.items?.properties?.keys?.items?.properties?.shared_key,
      schema.properties?.redis?.properties?.url,
    ];
    expect(secrets.map((one) => one?.writeOnly)).toEqual([true, true, true]);
    expect(auth?.issuers?.items?.properties?.keys?.items?.properties?.public_key?.writeOnly).toBeUndefined();
  });
});

test('the reference page has the forms of the database by their provider', () => {
  const page = configReference(controlSection);
  expect(page).toContain('## control.database');
  expect(page).toContain('| `provider` | `sqlite`, `postgres` | required |');
  expect(page).toContain('| `url` | value, secret |  | With `postgres`.');
});
