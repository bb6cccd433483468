import swagger from '@fastify/swagger';
import { type ErrorCode, errorCatalogue, SallyportError } from '@sallyport/sdk';
import fastify, { type FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, jsonSchemaTransformObject, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Operation } from './operation.js';

/** A problem document (RFC 9457), which every refusal is. */
const problemSchema = z
  .looseObject({
    type: z.string().describe('`urn:sallyport:error:CODE`.'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().describe('Stable; see docs/errors.md.'),
    hint: z.string().describe('What to do about it.'),
    request_id: z.string(),
    error: z.string(),
  })
  .meta({ id: 'Problem', description: 'A problem document (RFC 9457).' });

/** What every operation may answer. */
const always: readonly ErrorCode[] = ['request_invalid', 'request_head_too_large', 'rate_limited', 'internal_error'];
/** What every operation for known callers may answer. */
const whenKnown: readonly ErrorCode[] = ['authentication_required', 'token_invalid', 'permission_denied'];

/** The schema of a route: what Fastify validates and serialises with, and what the document says. */
export function routeSchema(operation: Operation): Record<string, unknown> {
  const { name, tag, summary, description, access, params, query, body, status, result } = operation;
  const fields = {
    ...(operation.idempotencyKey === true ? { 'idempotency-key': z.string().optional().describe('The same key twice is done once.') } : {}),
    ...(operation.conditional === true ? { 'if-match': z.string().optional().describe('The ETag of the version that may be changed.') } : {}),
  };
  return {
    operationId: name,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(access === 'anyone' ? { security: [] } : {}),
    'x-sallyport-access': access,
    'x-sallyport-services': operation.services,
    ...(operation.withoutXsrf === true ? { 'x-sallyport-without-xsrf': true } : {}),
    ...(params === undefined ? {} : { params }),
    ...(Object.keys(fields).length === 0 ? {} : { headers: z.looseObject(fields) }),
    querystring: query ?? z.strictObject({}),
    ...(body === undefined ? {} : { body }),
    response: {
      [status]: result === undefined ? z.null().describe('Done.') : { description: 'Done.', content: { 'application/json': { schema: result } } },
      ...problemResponses(operation),
      // Of operations that say with their status whether all is well: the body is the same.
      ...(operation.unthrottled === true && result !== undefined
        ? { 503: { description: 'Something is not well.', content: { 'application/json': { schema: result } } } }
        : {}),
    },
  };
}

function problemResponses({ access, errors = [], idempotencyKey, conditional, body }: Operation): Record<string, unknown> {
  const codes = [
    ...always,
    ...(access === 'anyone' ? [] : whenKnown),
    ...(idempotencyKey === true ? (['idempotency_key_invalid', 'idempotency_key_reused', 'idempotency_outcome_pending'] as const) : []),
    ...(conditional === true ? (['precondition_invalid', 'precondition_failed'] as const) : []),
    ...(body === undefined ? [] : (['request_too_large', 'media_type_unsupported'] as const)),
    ...errors,
  ];
  const byStatus = grouped(codes);
  return Object.fromEntries(
    [...byStatus].map(([status, of]) => [
      status,
      {
        description: of.map((code) => `\`${code}\`: ${errorCatalogue[code].title}.`).join(' '),
        content: { 'application/problem+json': { schema: problemSchema } },
      },
    ]),
  );
}

function statusOf(code: ErrorCode): number {
  return errorCatalogue[code].status;
}

function grouped(codes: readonly ErrorCode[]): Map<number, ErrorCode[]> {
  const groups = new Map<number, ErrorCode[]>();
  for (const code of new Set(codes)) groups.set(statusOf(code), [...(groups.get(statusOf(code)) ?? []), code]);
  return groups;
}

async function describeService(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sallyport control plane',
        version,
        description: 'Who may do what with which connection.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      security: [{ token: [] }, { session: [] }],
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          session: { type: 'apiKey', in: 'cookie', name: 'SESSION-ID' },
        },
      },
    },
    transform: createJsonSchemaTransform({}),
    transformObject: jsonSchemaTransformObject,
  });
}

/** The document of these operations: what a service serves at `/openapi.json`, and of all of them what is checked in. */
export async function openApiDocument(operations: readonly Operation[], version: string): Promise<object> {
  const app = fastify({ exposeHeadRoutes: false });
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  await describeService(app, version);
  for (const operation of operations) app.route({ method: operation.method, url: operation.path, schema: routeSchema(operation), handler: unserved });
  await app.ready();
  const document = app.swagger();
  await app.close();
  return withoutUnusedSchemas(document);
}

/** Schemas are named for both directions; most go one way only. */
function withoutUnusedSchemas<Document extends object>(
  document: Document & { components?: { schemas?: Readonly<Record<string, unknown>> } },
): Document {
  const { schemas = {}, ...components } = document.components ?? {};
  const used = new Set<string>();
  const follow = (text: string): void => {
    for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      follow(JSON.stringify(schemas[name] ?? null));
    }
  };
  follow(JSON.stringify({ ...document, components }));
  const kept = Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name)));
  return { ...document, components: { ...components, schemas: kept } };
}

/** The routes of a document are there to be described. */
async function unserved(): Promise<never> {
  throw new SallyportError('not_found');
}
