import { problemDocument, problemMediaType } from '@sallyport/gateway';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';

/** What Fastify itself refuses, in our words. */
const ofFramework: Readonly<Record<string, 'request_too_large' | 'media_type_unsupported' | 'request_invalid'>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'request_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'media_type_unsupported',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'request_invalid',
  FST_ERR_CTP_INVALID_JSON_BODY: 'request_invalid',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request_invalid',
  FST_ERR_BAD_URL: 'request_invalid',
  FST_ERR_MAX_PARAM_LENGTH: 'request_invalid',
};

/** The most places of a request that one answer complains of. */
const MOST_ISSUES = 50;

/** Any error as one of ours: what is wrong with the request says where, what nobody expected says nothing. */
export function errorOf(error: unknown): SallyportError {
  if (error instanceof SallyportError || typeof error !== 'object' || error === null) return asSallyportError(error);
  if (hasZodFastifySchemaValidationErrors(error)) return invalidRequest(error);
  const code = ofFramework[(error as Partial<FastifyError>).code ?? ''];
  if (code !== undefined) return new SallyportError(code, { detail: detailOf(error as FastifyError), cause: error });
  // A parser of Fastify's that calls the request wrong in a way not listed above.
  const { statusCode } = error as Partial<FastifyError>;
  if (statusCode === 400) return new SallyportError('request_invalid', { cause: error });
  return asSallyportError(error);
}

/** What Fastify says of the path has the path in it, and there may be a token in that. */
function detailOf({ code, message }: FastifyError): string {
  if (code === 'FST_ERR_BAD_URL') return 'path: is not percent-encoded UTF-8';
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') return 'path: has a segment that is too long';
  return message;
}

/** Answers with a problem document (RFC 9457) and the fields that go with the code. */
export function sendProblem(error: SallyportError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const status = error.status === 0 ? 500 : error.status;
  const wait = error.members.retry_after;
  if (typeof wait === 'number') void reply.header('retry-after', Math.max(1, Math.ceil(wait)));
  if (status === 401) void reply.header('www-authenticate', 'Bearer realm="sallyport"');
  return reply
    .code(status)
    .header('x-sallyport-error', error.code)
    .header('content-type', problemMediaType)
    .send(`${problemDocument(error, { requestId: request.id })}\n`);
}

function invalidRequest(error: {
  readonly validation: readonly { readonly instancePath: string; readonly message?: string }[];
  readonly validationContext?: string | undefined;
}): SallyportError {
  const context = error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'request');
  const issues = error.validation.slice(0, MOST_ISSUES).map(({ instancePath, message = 'is not valid' }) => ({
    in: context,
    path: instancePath.slice(1).replaceAll('/', '.'),
    message,
  }));
  const [first] = issues;
  const detail = first === undefined ? undefined : `${[first.in, first.path].filter((part) => part !== '').join(' ')}: ${first.message}`;
  return new SallyportError('request_invalid', { ...(detail === undefined ? {} : { detail }), members: { issues }, cause: error });
}

/** Remembers what is our fault, for the log. */
export function noteFailure(request: FastifyRequest, error: SallyportError): void {
  if (error.status === 0 || error.status >= 500) request.failure = error;
}
