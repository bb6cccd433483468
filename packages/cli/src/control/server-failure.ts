import { ApiError, unreachable as unanswered } from '@sallyport/client';
import { type ErrorCode, errorCatalogue, SallyportError } from '@sallyport/sdk';
import { printable } from './printable.js';

const LONGEST = 1000;
const MOST_ISSUES = 20;

/** Does the work; what the client of this origin rejects with becomes an error of ours. */
export async function withServerFailures<T>(origin: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof ApiError ? serverFailure(origin, error) : error;
  }
}

/**
 * A failed request as an error of ours: with the code of the server where that is one of ours, otherwise `server_refused`. What the server says is cut and
 * made harmless for a terminal; the request id is the member `request_id`.
 */
function serverFailure(origin: string, error: ApiError): SallyportError {
  if (error.code === 'server_unreachable') return unreachableError(origin, error);
  if (error.code === 'server_answer_invalid') {
    return new SallyportError('server_answer_invalid', { detail: `${error.message.replace('The server', origin)}.`, cause: error });
  }
  const { code, status, hint, requestId } = error;
  const members = { status, ...(requestId !== undefined && { request_id: harmless(requestId).slice(0, 256) }) };
  const hints = hint === undefined ? {} : { hint: harmless(hint) };
  const places =
    error.issues.length < 2 ? [] : error.issues.slice(0, MOST_ISSUES).map(({ in: where, path, message }) => `  ${where} ${path}: ${message}`);
  const sentence = [error.message, ...places].map(harmless).join('\n');
  // An internal error of the server is none of this command.
  if (code !== 'internal_error' && code !== 'server_refused' && isErrorCode(code)) {
    return new SallyportError(code, { detail: sentence, ...hints, members, cause: error });
  }
  const named = code === 'server_refused' ? '' : `, ${harmless(code)}`;
  const said = Object.keys(error.problem).some((name) => ['detail', 'title', 'error'].includes(name));
  return new SallyportError('server_refused', {
    detail: `The server answered ${status}${named}${said ? `: ${sentence}` : ''}`,
    ...hints,
    members,
    cause: error,
  });
}

/** Why a server could not be asked. No secret is in there: the address has no query, and what libraries say is left out but for its code. */
export function unreachable(origin: string, error: unknown): SallyportError {
  return unreachableError(origin, unanswered(error));
}

function unreachableError(origin: string, error: ApiError): SallyportError {
  const { reason } = error;
  const certificate = reason !== undefined && /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|_SSL_/.test(reason);
  return new SallyportError('server_unreachable', {
    detail: certificate ? `The certificate of ${origin} is not trusted (${reason}).` : `${origin} cannot be reached (${reason ?? 'unknown reason'}).`,
    ...(certificate && { hint: 'Name the authority that signed it with --ca or `ca:` in the client configuration.' }),
    cause: error,
  });
}

function harmless(text: string): string {
  return printable(text.slice(0, LONGEST));
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCatalogue, code);
}
