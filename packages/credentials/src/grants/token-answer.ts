import { type ErrorCode, SallyportError, Secret } from '@sallyport/sdk';
import { parseObject } from '../json-object.js';
import { decodeText, type Material } from '../material.js';
import type { ExchangeOutcome } from '../refresh/exchange.js';
import type { TransportAnswer } from './token-endpoint-transport.js';

/** What an answer is read against. */
export interface AnswerContext {
  /** The endpoint, for errors. */
  readonly where: string;
  /** Milliseconds since the epoch when the form was posted: a lifetime counts from there at the latest. */
  readonly postedAt: number;
  /** Milliseconds by which the expiry is brought forward. */
  readonly marginMs: number;
  /** Milliseconds that a token lives whose answer says nothing about it; null: such an answer is an error. */
  readonly assumedLifetimeMs: number | null;
  /** Removed from what the endpoint says about an error, should it echo them. */
  readonly secrets: readonly Secret[];
}

type Fields = Readonly<Record<string, unknown>>;

const NO_FIELDS: ReadonlyMap<string, Secret> = new Map();
const DESCRIPTION_LIMIT = 300;
/** `bad_refresh_token` is GitHub's word for it, sent with status 200. */
const GRANT_ERRORS: ReadonlySet<unknown> = new Set(['invalid_grant', 'bad_refresh_token']);
const BUSY_ERRORS: ReadonlySet<unknown> = new Set(['temporarily_unavailable', 'slow_down']);

/**
 * What an answer of a token endpoint (RFC 6749 §5) means. A successor of the refresh token is taken out before anything else is judged: an answer
 * without a usable access token may still carry the only refresh token that the server will accept from now on.
 *
 * `token_type` is not judged: the token is used as a bearer token whatever it is called. An `id_token` is not looked at.
 */
export function readAnswer(answer: TransportAnswer, context: AnswerContext): ExchangeOutcome {
  const { status, contentType } = answer;
  const isJson = /^application\/(?:[\w.-]+\+)?json(?:\s*;|\s*$)/i.test(contentType);
  const fields = isJson ? parseObject(decodeText(answer.body) ?? '') : null;
  // Some endpoints answer errors with status 200.
  const isError = typeof fields?.error === 'string' && fields.access_token === undefined;
  if (status >= 200 && status < 300 && !isError) return readSuccess(fields, contentType, context);
  return readError(status, contentType, fields, context);
}

function readSuccess(fields: Fields | null, contentType: string, context: AnswerContext): ExchangeOutcome {
  if (fields === null) return { kind: 'unknown', error: invalid(context, `is not a JSON object (${shownType(contentType)})`) };
  const { refresh_token: successor } = fields;
  const refreshToken = typeof successor === 'string' && successor !== '' ? new Secret(successor) : null;
  const result = readAccessToken(fields, context);
  if (result instanceof SallyportError && result.code === 'token_response_invalid' && refreshToken === null)
    return { kind: 'unknown', error: result };
  return { kind: 'answered', refreshToken, result };
}

function readAccessToken(fields: Fields, context: AnswerContext): Material | SallyportError {
  const { access_token: token, expires_in: expiresIn } = fields;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) return invalid(context, 'has no access_token that can be placed into a header');
  const lifetimeMs = expiresIn === undefined || expiresIn === null ? context.assumedLifetimeMs : lifetimeOf(expiresIn);
  if (lifetimeMs === null) {
    const what = expiresIn === undefined || expiresIn === null ? 'has no expires_in' : 'has an expires_in that is not a number of seconds';
    return invalid(context, what, 'Have the endpoint say how long its tokens live, or configure a lifetime to assume.');
  }
  if (lifetimeMs <= context.marginMs) {
    const detail = `The token of ${context.where} lives ${lifetimeMs / 1000} s, which is not longer than the margin of ${context.marginMs / 1000} s.`;
    return new SallyportError('token_expired_on_arrival', { detail });
  }
  return { secret: new Secret(token), fields: NO_FIELDS, expiresAt: context.postedAt + lifetimeMs - context.marginMs };
}

/** Seconds as a number or as digits, in milliseconds; null for anything else. */
function lifetimeOf(value: unknown): number | null {
  const seconds = typeof value === 'string' && /^\d{1,12}(?:\.\d{1,9})?$/.test(value) ? Number(value) : value;
  return typeof seconds === 'number' && seconds >= 0 && seconds < 1e12 ? Math.floor(seconds * 1000) : null;
}

function readError(status: number, contentType: string, fields: Fields | null, context: AnswerContext): ExchangeOutcome {
  const error = typeof fields?.error === 'string' && fields.error !== '' ? fields.error : null;
  const cause = error === null ? undefined : oauthError(error, fields?.error_description, context.secrets);
  const fail = (code: ErrorCode, detail: string): SallyportError =>
    code === 'token_endpoint_unavailable' ? endpointUnavailable(detail, cause) : new SallyportError(code, { detail, cause });
  const answered = `${context.where} answered with status ${status} (${shownType(contentType)})`;

  if (GRANT_ERRORS.has(error) && status < 500) return { kind: 'refused', error: fail('refresh_token_refused', `${answered} and refused the grant.`) };
  if (status === 401 || error === 'invalid_client') {
    return { kind: 'unused', error: fail('client_credentials_refused', `${answered} and did not accept the client.`) };
  }
  // A limiter answers before anything is done with the form.
  if (status === 429 || (BUSY_ERRORS.has(error) && status < 500)) {
    return { kind: 'unused', error: fail('token_endpoint_unavailable', `${answered}: too busy.`) };
  }
  if (status >= 500) return { kind: 'unknown', error: fail('token_endpoint_unavailable', `${answered}.`) };
  if (error !== null) return { kind: 'unused', error: fail('token_request_refused', `${answered}.`) };
  // Not an OAuth answer: it comes from something in between, before or after the endpoint.
  return {
    kind: 'unknown',
    error: fail(status < 400 ? 'token_response_invalid' : 'token_request_refused', `${answered}, which is no OAuth answer.`),
  };
}

/** The one failure of an endpoint that may be gone with the next attempt: it says so in the member `retryable`. */
export function endpointUnavailable(detail: string, cause?: Error): SallyportError {
  return new SallyportError('token_endpoint_unavailable', { detail, members: { retryable: true }, cause });
}

/** What the endpoint said, for logs only: bounded, printable, without the secrets that were sent. */
function oauthError(error: string, description: unknown, secrets: readonly Secret[]): Error {
  let text = typeof description === 'string' && description !== '' ? `${error}: ${description}` : error;
  for (const secret of secrets) if (!secret.empty) text = text.replaceAll(secret.reveal(), String(secret));
  return new Error(text.replace(/[^\x20-\x7e]/g, '?').slice(0, DESCRIPTION_LIMIT));
}

function shownType(contentType: string): string {
  return /^[\w.+-]{1,64}\/[\w.+-]{1,64}/.exec(contentType)?.[0] ?? 'no content type';
}

function invalid({ where }: AnswerContext, what: string, hint?: string): SallyportError {
  return new SallyportError('token_response_invalid', { detail: `The answer of ${where} ${what}.`, ...(hint === undefined ? {} : { hint }) });
}
