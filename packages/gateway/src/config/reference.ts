import { durationPattern, sizePattern } from './durations-and-sizes.js';
import { fileShape } from './file-shape.js';
import type { Section } from './section.js';
import { alternativesOf, discriminatorOf, type JsonSchema } from './written-schema.js';

interface Row {
  readonly key: string;
  readonly type: string;
  readonly fallback: string;
  readonly meaning: string;
}

const INTRODUCTION = `# Configuration

<!-- Made by scripts/generate-config-docs.mjs from the schema in packages/gateway/src/config; change it there. -->

One YAML file configures the gateway (the section \`gateway\`), the control plane (\`control\`), or both; a process that serves one of them needs
nothing of the other. \`control: {}\` is a whole control plane for one machine. \`sallyport config check\` validates a file, \`sallyport config schema\` prints its JSON Schema, and
\`sallyport config explain METHOD URL\` says which rule and which binding a request would meet. Editors complete keys when the file begins with
\`# yaml-language-server: $schema=config.schema.json\`.

\`\`\`yaml
gateway:
  listeners:
    forward: { port: 9080 }
    ops: { port: 9090 }
  policy:
    rules:
      - allow api.github.com GET /repos/**
      - allow *.anthropic.com
      - passthrough pinned.example.com
  credentials:
    github:
      source: { type: env, var: GITHUB_TOKEN }
      bind:
        - hosts: [api.github.com]
          place: { header: Authorization, format: "Bearer {secret}" }
  callers:
    ci:
      token: { env: CI_TOKEN }
      credentials: [github]
\`\`\`

A key that is not listed here is an error, and so is a key that is there twice: nothing in a section is ever ignored by who uses it, and
\`sallyport config check\` looks at all of the file. All errors are reported at once, each with its line and column. The running gateway takes over a changed file when it is valid, and otherwise keeps what it has and says why.

## How values are written

| form | means |
|---|---|
| duration | \`500ms\`, \`30s\`, \`5m\`, \`2h\`, \`7d\`: a whole number and its unit |
| size | \`512b\`, \`8kb\`, \`10mb\`, \`1gb\`: a whole number and its unit, a kb being 1024 bytes |
| path | \`~/\` is the home directory; a relative path starts at the directory of the configuration file |
| value | a text, \`{env: NAME}\` for an environment variable, or \`{file: path}\` for the content of a file without its last line break |

In every text, \`\${NAME}\` is filled in from the environment, and \`\${NAME:-default}\` from the default when the variable is not set or empty;
\`$\${\` stands for \`\${\` itself. A variable without a value or default is an error. Between braces and brackets YAML wants such a text in quotes:
\`{ dir: "\${HOME}/ca" }\`. Numbers and \`true\`/\`false\` may come from variables as well.

Anchors, aliases and merge keys (\`<<\`) work; tags and several documents in a file do not. A file is at most 1 MiB.
`;

/**
 * The reference page of the configuration as Markdown: every key with its type, its default and its meaning; with the section of the control plane
 * when it is given.
 */
export function configReference<Control>(control: Section<Control> | null = null): string {
  const { properties = {} } = fileShape(control).written;
  return [INTRODUCTION, ...Object.entries(properties).flatMap(([name, schema]) => sectionsOf(name, schema))].join('\n');
}

function sectionsOf(name: string, { properties = {}, required = [] }: JsonSchema): string[] {
  return Object.entries(properties).map(([key, schema]) => section(`${name}.${key}`, schema, required.includes(key)));
}

function section(name: string, schema: JsonSchema, required: boolean): string {
  const rows = rowsOf(schema, '').map((row) => `| \`${row.key}\` | ${escaped(row.type)} | ${escaped(row.fallback)} | ${escaped(row.meaning)} |`);
  const meaning = `${schema.description ?? ''}${required ? ' Required.' : ''}`;
  return [`## ${name}`, '', meaning, '', '| key | type | default | meaning |', '|---|---|---|---|', ...rows, ''].join('\n');
}

/** One row for each key below a map, in the order of the schema; `required` keys say so where others have their default. */
function rowsOf(schema: JsonSchema, prefix: string): Row[] {
  if (schema.additionalProperties) return rowsOf(schema.additionalProperties, `${prefix}NAME.`);
  if (schema.items) return rowsOf(schema.items, `${prefix.replace(/\.$/, '')}[].`);
  const forms = mapForms(schema);
  if (forms.length > 1) return rowsOfForms(forms, prefix);
  const map = forms[0];
  return Object.entries(map?.properties ?? {}).flatMap(([key, child]) => rowsOfKey(`${prefix}${key}`, child, map?.required?.includes(key) === true));
}

/** Forms told apart by a key such as `type`: one row for all its values, then the keys of each. */
function rowsOfForms(forms: readonly JsonSchema[], prefix: string): Row[] {
  const discriminator = discriminatorOf(forms) ?? 'type';
  const kinds = forms.map((form) => ({ form, kind: form.properties?.[discriminator] }));
  const words = kinds.map(({ kind }) => `\`${String(kind?.const)}\``).join(', ');
  const meanings = kinds.map(({ kind }) => `\`${String(kind?.const)}\`: ${kind?.description ?? ''}`).join(' ');
  const own = kinds.flatMap(({ form, kind }) =>
    rowsOf(form, prefix)
      .filter(({ key }) => key !== `${prefix}${discriminator}`)
      .map((row) => ({ ...row, meaning: `With \`${String(kind?.const)}\`. ${row.meaning}` })),
  );
  return [{ key: `${prefix}${discriminator}`, type: words, fallback: 'required', meaning: meanings }, ...own];
}

function rowsOfKey(key: string, schema: JsonSchema, required: boolean): Row[] {
  const row = { key, type: typeOf(schema), fallback: required ? 'required' : defaultOf(schema), meaning: schema.description ?? '' };
  if (isValue(schema)) return [row];
  const element = schema.items !== undefined && mapForms(schema.items).length > 0 ? schema.items : null;
  if (element !== null) return [row, ...rowsOf(element, `${key}[].`)];
  return mapForms(schema).length > 0 ? [row, ...rowsOf(schema, `${key}.`)] : [row];
}

/** The maps that a schema allows: itself, or those among its forms; a list of the same maps adds nothing. */
function mapForms(schema: JsonSchema): readonly JsonSchema[] {
  if (schema.properties !== undefined) return [schema];
  return alternativesOf(schema).filter((form) => form.properties !== undefined);
}

function isValue(schema: JsonSchema): boolean {
  return (schema.anyOf ?? []).some((form) => form.properties?.env !== undefined && form.properties.file !== undefined);
}

function typeOf(schema: JsonSchema): string {
  if (isValue(schema)) return schema.writeOnly === true ? 'value, secret' : 'value';
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.oneOf !== undefined && schema.properties === undefined) return 'map';
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  if (schema.const !== undefined) return code(schema.const);
  if (schema.type === 'array') return `list of ${schema.items === undefined ? 'anything' : plural(typeOf(schema.items))}`;
  if (schema.type === 'integer') return `${schema.minimum} to ${schema.maximum}`;
  if (schema.type === 'boolean') return '`true`, `false`';
  if (schema.type === 'object') return 'map';
  if (schema.pattern === durationPattern.source) return 'duration';
  if (schema.pattern?.startsWith(durationPattern.source) === true) return 'duration or `off`';
  return schema.pattern === sizePattern.source ? 'size' : 'text';
}

function plural(type: string): string {
  return type === 'map' || type === 'text' ? `${type}s` : type;
}

function defaultOf({ default: fallback }: JsonSchema): string {
  if (fallback === undefined || (typeof fallback === 'object' && fallback !== null && Object.keys(fallback).length === 0)) return '';
  return code(fallback);
}

function code(word: unknown): string {
  return `\`${typeof word === 'string' ? word : JSON.stringify(word)}\``;
}

function escaped(cell: string): string {
  return cell.replaceAll('|', '\\|');
}
