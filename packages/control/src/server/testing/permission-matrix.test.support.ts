import type { Access, ServiceName } from '../operation.js';

/** A schema of the document; only what the samples look at. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly minimum?: number;
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: Schema;
}

interface DocumentedMember {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
  readonly 'x-sallyport-access': Access;
  readonly 'x-sallyport-services': readonly ServiceName[];
  readonly 'x-sallyport-without-xsrf'?: boolean;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedMember>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** An operation as the OpenAPI document tells of it: all that the matrix knows. */
export interface DocumentedOperation {
  readonly name: string;
  readonly method: string;
  /** `/actors/{id}/keys/{key_id}`. */
  readonly path: string;
  readonly pathParameters: readonly string[];
  readonly queryParameters: readonly string[];
  readonly access: Access;
  readonly services: readonly ServiceName[];
  readonly withoutXsrf: boolean;
  /** The problems that it says it answers with, as statuses. */
  readonly statuses: readonly number[];
  /** The required parameters of the query with the least value that their schemas allow. */
  readonly query: Readonly<Record<string, string>>;
  /** The least body that the schema allows; undefined when it takes none. */
  readonly body: unknown;
  /** The names of all members of the body. */
  readonly bodyMembers: readonly string[];
}

/** The operations of the document that `controlDocument` answers. */
export function documentedOperations(text: object): readonly DocumentedOperation[] {
  const document = text as Document;
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, member]) => {
      const { parameters = [], requestBody } = member;
      const ofQuery = parameters.filter((parameter) => parameter.in === 'query');
      const body = requestBody?.content['application/json']?.schema;
      const required = ofQuery.filter((parameter) => parameter.required === true);
      return {
        ...{ name: member.operationId, method: method.toUpperCase(), path },
        pathParameters: [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name),
        queryParameters: ofQuery.map(({ name }) => name),
        ...{ access: member['x-sallyport-access'], services: member['x-sallyport-services'] },
        withoutXsrf: member['x-sallyport-without-xsrf'] === true,
        statuses: Object.keys(member.responses).map(Number),
        query: Object.fromEntries(required.map(({ name, schema }) => [name, String(sampleOf(schema, document))])),
        body: body === undefined ? undefined : sampleOf(body, document),
        bodyMembers: body === undefined ? [] : Object.keys(resolved(body, document).properties ?? {}),
      };
    }),
  );
}

function resolved(schema: Schema, document: Document): Schema {
  const name = schema.$ref?.split('/').at(-1);
  return name === undefined ? schema : resolved(document.components.schemas[name] ?? {}, document);
}

/** The least value that the schema allows. Formats and patterns are left to the fixtures. */
function sampleOf(given: Schema, document: Document): unknown {
  const schema = resolved(given, document);
  const [alternative] = schema.anyOf ?? schema.oneOf ?? [];
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  if (alternative !== undefined) return sampleOf(alternative, document);
  if (schema.type === 'object') {
    return Object.fromEntries((schema.required ?? []).map((name) => [name, sampleOf(schema.properties?.[name] ?? {}, document)]));
  }
  if (schema.type === 'array') return Array.from({ length: schema.minItems ?? 0 }, () => sampleOf(schema.items ?? {}, document));
  if (schema.type === 'integer' || schema.type === 'number') return schema.minimum ?? 0;
  if (schema.type === 'boolean') return false;
  return 'x'.repeat(Math.max(1, schema.minLength ?? 1));
}
