import { AsyncLocalStorage } from 'node:async_hooks';
import { errorCode } from '@sallyport/credentials';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import type { Dispatcher } from 'undici';

/** What the calls of one order are made with. */
export interface AcmeCalls {
  readonly signal: AbortSignal;
  readonly dispatcher: Dispatcher;
}

type AcmeLibrary = typeof import('acme-client');

const TIMEOUT_MS = 30_000;
const ANSWER_LIMIT = 1024 * 1024;
const DETAIL_LIMIT = 300;
const ERROR_PREFIX = 'urn:ietf:params:acme:error:';
/** What a server can ask for at most; whoever asks for more is asked again all the same. */
const LONGEST_RETRY_AFTER_S = 7 * 24 * 3600;

const calls = new AsyncLocalStorage<AcmeCalls>();
let loaded: Promise<AcmeLibrary> | null = null;

/**
 * The ACME library, loaded on first use, with calls of our own underneath: its HTTP client can neither be cancelled nor bounded, waits as long as a
 * server says before it tries again, follows redirects, and loses what kind of failure it was. Everything has to run inside `withAcmeCalls`.
 */
export function acmeLibrary(): Promise<AcmeLibrary> {
  loaded ??= load();
  return loaded;
}

/** Runs `work`, in which the library makes its calls with these. An error of a call is a `SallyportError`, or the reason of the signal. */
export function withAcmeCalls<T>(with_: AcmeCalls, work: () => Promise<T>): Promise<T> {
  return calls.run(with_, work);
}

/** The error itself when it is one of ours; what the library throws by itself is about a server that does not do as RFC 8555 says. */
export function asAcmeError(error: unknown): SallyportError {
  if (error instanceof SallyportError || !(error instanceof Error) || error instanceof TypeError) return asSallyportError(error);
  const { detail } = problemFields({ detail: error.message });
  return new SallyportError('acme_unreachable', { detail: `The ACME server does not work as expected: ${detail}`, cause: error });
}

async function load(): Promise<AcmeLibrary> {
  const acme = await import('acme-client');
  acme.axios.defaults.adapter = async (config) => {
    const current = calls.getStore();
    if (current === undefined) throw new TypeError('a call of the ACME library outside withAcmeCalls');
    const headers = Object.fromEntries(Object.entries(config.headers.toJSON()).map(([name, value]) => [name, String(value)]));
    const method = config.method === 'post' ? 'POST' : config.method === 'head' ? 'HEAD' : 'GET';
    const body = typeof config.data === 'string' ? config.data : null;
    const answer = await call(current, { url: config.url ?? '', method, headers, body });
    return { data: answer.text, status: answer.status, statusText: '', headers: answer.headers, config };
  };
  return acme;
}

interface Call {
  readonly url: string;
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

async function call({ signal, dispatcher }: AcmeCalls, { url, method, headers, body }: Call): Promise<Answer> {
  signal.throwIfAborted();
  const { origin, protocol } = new URL(url);
  // RFC 8555 §6.1; it is the server that names all addresses but the first.
  if (protocol !== 'https:') throw new SallyportError('acme_unreachable', { detail: `The ACME server names an address without TLS, at ${origin}.` });
  const { request } = await import('undici');
  let answer: Answer;
  const late = new AbortController();
  // Not AbortSignal.timeout: Node 20 collects one that nothing but AbortSignal.any refers to, and then it never aborts.
  const timer = setTimeout(() => late.abort(), TIMEOUT_MS);
  try {
    const limited = AbortSignal.any([signal, late.signal]);
    const sent = { 'user-agent': 'sallyport', ...pick(headers, ['accept', 'content-type']) };
    const response = await request(url, { method, headers: sent, body, signal: limited, dispatcher });
    const flat = Object.entries(response.headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : []));
    answer = { status: response.statusCode, text: await readText(response.body), headers: Object.fromEntries(flat) as Record<string, string> };
  } catch (cause) {
    signal.throwIfAborted();
    throw new SallyportError('acme_unreachable', { detail: `The ACME server at ${origin} cannot be reached (${errorCode(cause)}).`, cause });
  } finally {
    clearTimeout(timer);
  }
  const problem = answer.status < 300 ? null : problemOf(answer, origin);
  if (problem !== null) throw problem;
  return answer;
}

/** Null for the one refusal that the library answers itself, with another nonce (RFC 8555 §6.5). */
function problemOf({ status, text, headers }: Answer, origin: string): SallyportError | null {
  const { type, detail } = problemMembers(text);
  if (type === 'badNonce') return null;
  const members = { acme_error: type, ...retryAfter(headers['retry-after']) };
  const said = detail === '' ? `with the status ${status}` : `${type} (${status}): ${detail}`;
  const code =
    type === 'rateLimited' || status === 429 ? 'acme_rate_limited' : status >= 500 || status < 400 ? 'acme_unreachable' : 'acme_order_refused';
  return new SallyportError(code, { detail: `The ACME server at ${origin} answered ${said}`, members });
}

/** The kind of an ACME problem without its prefix, and its text, bounded and printable. */
export function problemMembers(text: string): { readonly type: string; readonly detail: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  return problemFields(value);
}

/** The same of a problem that was parsed already: an error in a challenge or an order. */
export function problemFields(value: unknown): { readonly type: string; readonly detail: string } {
  const { type, detail } = typeof value === 'object' && value !== null ? (value as { type?: unknown; detail?: unknown }) : {};
  const kind = typeof type === 'string' && type.startsWith(ERROR_PREFIX) ? type.slice(ERROR_PREFIX.length) : 'unknown';
  return { type: kind.slice(0, 64), detail: typeof detail === 'string' ? detail.replace(/[^\x20-\x7e]/g, ' ').slice(0, DETAIL_LIMIT) : '' };
}

/** Seconds, from either form of the header field (RFC 9110 §10.2.3). */
function retryAfter(value: string | undefined): { readonly retry_after?: number } {
  if (value === undefined) return {};
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return seconds > 0 ? { retry_after: Math.min(Math.ceil(seconds), LONGEST_RETRY_AFTER_S) } : {};
}

function pick(headers: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name.toLowerCase())));
}

async function readText(body: AsyncIterable<unknown>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop destroys the rest of the body, and with it the connection.
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    length += chunk.length;
    if (length > ANSWER_LIMIT) throw new RangeError('the answer is longer than 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
