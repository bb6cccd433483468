import { SallyportError } from '@sallyport/sdk';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { entityTag, parseIfMatch } from '../database/entity-tag.js';
import { entriesOf } from '../permissions/permission.js';
import type { Caller } from './caller.js';
import type { Once } from './once.js';
import type { Operation, ServedAnswer, ServiceName } from './operation.js';
import { noteFailure } from './problem-answers.js';
import type { Redaction } from './redaction.js';

/** An operation with what it does about secrets. */
export type ServedOperation = Operation & { readonly redaction: Redaction };

/** What an answer is made with. */
interface Answering {
  readonly service: ServiceName;
  readonly once: Once;
}

/** Does what an operation does for a request whose caller is known, once per idempotency key, and answers it. */
export async function answerRequest(
  request: FastifyRequest,
  reply: FastifyReply,
  operation: ServedOperation,
  options: Answering,
): Promise<FastifyReply> {
  const { caller } = request;
  const key = request.headers['idempotency-key'];
  operation.redaction.refuseMasked(request.body);
  if (operation.idempotencyKey !== true || key === undefined || caller === null) {
    const answer = await call(request, operation, options);
    if (answer.failure !== undefined) noteFailure(request, answer.failure);
    // A cookie that stands for nothing was to be forgotten; the operation says what becomes of it, and a name is written once (RFC 6265 §4.1.1).
    if (answer.headers?.['set-cookie'] !== undefined) void reply.removeHeader('set-cookie');
    for (const [name, value] of Object.entries(answer.headers ?? {})) void reply.header(name, value);
    return reply.code(answer.status ?? operation.status).send(answer.body);
  }
  if (typeof key !== 'string') throw new SallyportError('idempotency_key_invalid');
  const stored = await options.once(asked(request, caller, key), async () => {
    const { body, headers = {} } = await call(request, operation, options);
    const text = body === undefined ? '' : reply.serializeInput(body as Record<string, unknown>, String(operation.status), 'application/json');
    const fields = Object.entries(headers).map(([name, value]): [string, string] => [name, typeof value === 'string' ? value : value.join(', ')]);
    return { status: operation.status, fields: Object.fromEntries(fields), body: String(text) };
  });
  for (const [name, value] of Object.entries(stored.fields)) void reply.header(name, value);
  return reply
    .code(stored.status)
    .header('content-type', 'application/json; charset=utf-8')
    .serializer((text: unknown) => String(text))
    .send(stored.body);
}

/** What makes it the same request. A narrower token of the same actor asks for something else, as it may not see the same answer. */
function asked({ method, url, query, body }: FastifyRequest, { actor, by }: Caller, key: string): Parameters<Once>[0] {
  return {
    key,
    actorId: actor.id,
    method,
    path: url.split('?', 1)[0] ?? '',
    body: { query, body, permissions: entriesOf(by.authority.permissions) },
  };
}

async function call(request: FastifyRequest, operation: ServedOperation, { service }: Answering): Promise<ServedAnswer> {
  const { params, query, body, caller, id: requestId, ip: address, gone: signal } = request;
  const header = (name: string): string | undefined => {
    const value = request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  };
  const ifMatch = operation.conditional === true ? parseIfMatch(header('if-match')) : undefined;
  const answer = await operation.handle({ params, query, body, caller, service, requestId, ifMatch, header, address, signal });
  const { body: shown, redacted } = operation.redaction.mask(answer.body, caller?.by.authority ?? null);
  const headers = {
    ...(answer.version === undefined ? {} : { etag: entityTag({ version: answer.version }) }),
    ...(redacted ? { 'x-sallyport-data-redacted': 'true' } : {}),
    ...answer.headers,
  };
  return { ...answer, body: shown, headers };
}
