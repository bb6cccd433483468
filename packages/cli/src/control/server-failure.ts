import { type ErrorCode, errorCatalogue, SallyportError } from '@sallyport/sdk';
import { printable } from './printable.js';

const LONGEST = 1000;

/**
 * The refusal of a server as an error of ours: with its code where that is one of ours, otherwise `server_refused`. What the server says is cut and made
 * harmless for a terminal; the request id is the member `request_id`.
 */
export function refusal(status: number, body: unknown, requestId: string | undefined): SallyportError {
  const problem: Readonly<Record<string, unknown>> = typeof body === 'object' && body !== null ? { ...body } : {};
  const said = (name: string): string | undefined => {
    const text = problem[name];
    return typeof text === 'string' && text !== '' ? printable(text.slice(0, LONGEST)) : undefined;
  };
  const id = said('request_id') ?? (requestId === undefined ? undefined : printable(requestId.slice(0, 256)));
  const code = said('code');
  const sentence = said('detail') ?? said('title') ?? said('error');
  const hint = said('hint');
  const members = { status, ...(id !== undefined && { request_id: id }) };
  // An internal error of the server is none of this command.
  if (code !== undefined && code !== 'internal_error' && isErrorCode(code)) {
    return new SallyportError(code, { ...(sentence !== undefined && { detail: sentence }), ...(hint !== undefined && { hint }), members });
  }
  const what = `${status}${code === undefined ? '' : `, ${code}`}`;
  return new SallyportError('server_refused', {
    detail: `The server answered ${what}${sentence === undefined ? '' : `: ${sentence}`}`,
    ...(hint !== undefined && { hint }),
    members,
  });
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCatalogue, code);
}

/** Why a server could not be asked. No secret is in there: the address has no query, and what libraries say is left out but for its code. */
export function unreachable(origin: string, error: unknown): SallyportError {
  const code = systemCode(error);
  const certificate = code !== undefined && isAboutCertificates(code);
  return new SallyportError('server_unreachable', {
    detail: certificate ? `The certificate of ${origin} is not trusted (${code}).` : `${origin} cannot be reached (${code ?? 'unknown reason'}).`,
    ...(certificate && { hint: 'Name the authority that signed it with --ca or `ca:` in the client configuration.' }),
    cause: error,
  });
}

/** Whether another attempt may go better: the certificate will be the same. */
export function isPassing(error: unknown): boolean {
  const code = systemCode(error);
  return code !== undefined && !isAboutCertificates(code);
}

function isAboutCertificates(code: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|_SSL_/.test(code);
}

function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  // Several addresses of one name fail together.
  if (error instanceof AggregateError) return systemCode(error.errors[0]);
  return systemCode(error.cause);
}
