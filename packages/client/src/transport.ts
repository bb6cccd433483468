import { ApiError, oddAnswer, refusal, unreachable } from './api-error.js';

/** What a request is sent with: the `fetch` of the platform, or one that behaves like it. */
export type Fetch = (
  url: string,
  init: {
    method: string;
    headers: Record<string, string>;
    body?: string;
    signal: AbortSignal;
    redirect: 'manual';
    credentials: 'include' | 'same-origin';
  },
) => Promise<FetchAnswer>;

/** What of its answer is looked at. */
export interface FetchAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: { getReader(): AnswerReader } | null;
}

interface AnswerReader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

/** What a transport works with. */
export interface TransportOptions {
  readonly fetch: Fetch;
  /** For each attempt, in milliseconds. */
  readonly timeout: number;
  /** Asked before each attempt, as a token may end while it is waited. */
  readonly getToken: (() => string | Promise<string>) | undefined;
  /** The cookie of a session goes along, and what proves that the page is ours. */
  readonly session: boolean;
  readonly pause: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

const MOST_ATTEMPTS = 3;
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 10_000;
const LARGEST_ANSWER = 16 * 1024 * 1024;
const TRANSIENT: readonly number[] = [429, 502, 503, 504];
const XSRF = 'x-xsrf-token';

interface Heard {
  readonly status: number;
  readonly headers: FetchAnswer['headers'];
  readonly text: string;
}

interface Outgoing {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * Sends a request, up to three times where that can do no harm, and answers what came back when it is a success with JSON or nothing in it. The token goes
 * to the address and no further: redirects are not followed. Rejects with `ApiError`, and with the reason of the signal when the request is taken back.
 */
export function createTransport(options: TransportOptions): (request: Request) => Promise<Response> {
  const { fetch, timeout, getToken, session, pause } = options;
  let xsrf: string | null = null;

  async function inTime<Result>(signal: AbortSignal, work: (limit: AbortSignal) => Promise<Result>): Promise<Result> {
    const late = new AbortController();
    // Not AbortSignal.timeout: Node 20 collects one that nothing but AbortSignal.any refers to, and then it never aborts.
    const timer = setTimeout(() => late.abort(new DOMException('The server did not answer in time.', 'TimeoutError')), timeout);
    try {
      return await work(AbortSignal.any([late.signal, signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  async function attempt({ url, method, headers, body, signal }: Outgoing): Promise<Heard> {
    const own: Record<string, string> = { ...headers, accept: 'application/json' };
    if (getToken !== undefined) own.authorization = `Bearer ${await getToken()}`;
    if (session && xsrf !== null && method !== 'GET') own[XSRF] = xsrf;
    const heard = await inTime(signal, async (limit) => {
      const credentials = session ? 'include' : 'same-origin';
      const answer = await fetch(url, { method, headers: own, signal: limit, redirect: 'manual', credentials, ...(body !== undefined && { body }) });
      return { status: answer.status, headers: answer.headers, text: await readText(answer) };
    });
    const sent = own[XSRF] ?? null;
    xsrf = heard.headers.get(XSRF) ?? xsrf;
    // A page that was just opened has no token yet, or had slept past the end of its last one: the refusal brings the next.
    const stale = session && heard.status === 403 && /^xsrf_token_/.test(heard.headers.get('x-sallyport-error') ?? '');
    return stale && xsrf !== null && xsrf !== sent ? attempt({ url, method, headers, body, signal }) : heard;
  }

  return async (request) => {
    const outgoing: Outgoing = {
      url: request.url,
      method: request.method,
      headers: Object.fromEntries(request.headers),
      body: request.body === null ? undefined : await request.text(),
      signal: request.signal,
    };
    const repeatable = isRepeatable(outgoing);
    for (let count = 1; ; count += 1) {
      let heard: Heard | ApiError;
      let passing: boolean;
      try {
        heard = await attempt(outgoing);
        passing = repeatable ? isTransient(heard, count) : heard.status === 429;
      } catch (error) {
        outgoing.signal.throwIfAborted();
        if (error instanceof ApiError) throw error;
        heard = unreachable(error);
        passing = repeatable && isPassing(heard);
      }
      const delay = passing && count < MOST_ATTEMPTS ? pauseBefore(count, heard) : null;
      if (delay !== null) await pause(delay, outgoing.signal);
      else if (heard instanceof ApiError) throw heard;
      else return understood(heard);
    }
  };
}

/** Whether doing it twice is the same as doing it once: by its method, by its key, or because it says the whole of what is to be, unconditionally. */
function isRepeatable({ method, headers }: Outgoing): boolean {
  if (method === 'PATCH') return headers['if-match'] === undefined;
  return method !== 'POST' || headers['idempotency-key'] !== undefined;
}

function isTransient({ status, headers }: Heard, count: number): boolean {
  // The attempt before is still being worked on.
  return TRANSIENT.includes(status) || (count > 1 && status === 409 && headers.get('x-sallyport-error') === 'idempotency_outcome_pending');
}

/** Whether another attempt may go better: a certificate will be the same, and who waited long enough does not want to wait again. */
function isPassing({ reason }: ApiError): boolean {
  return reason !== undefined && !/CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|_SSL_/.test(reason);
}

/** How long to wait, or null when the server wants more patience than anybody has. Random, so that many clients do not come back together. */
function pauseBefore(count: number, heard: Heard | ApiError): number | null {
  const asked = heard instanceof ApiError ? null : heard.headers.get('retry-after');
  if (asked !== null && /^[0-9]{1,9}$/.test(asked)) return Number(asked) * 1000 > LONGEST_PAUSE ? null : Number(asked) * 1000;
  return FIRST_PAUSE * 2 ** (count - 1) * (0.5 + Math.random() / 2);
}

async function readText({ status, body }: FetchAnswer): Promise<string> {
  if (body === null) return '';
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    length += value?.length ?? 0;
    if (length > LARGEST_ANSWER) {
      await reader.cancel();
      throw oddAnswer(status, 'The answer of the server is larger than 16 MiB');
    }
    text += decoder.decode(value, { stream: true });
  }
}

function understood({ status, headers, text }: Heard): Response {
  const type = headers.get('content-type') ?? '';
  const isJson = /^application\/(?:[\w.-]+\+)?json\b/i.test(type);
  const json = isJson ? parsed(text) : undefined;
  if (status >= 400) throw refusal(status, json, headers.get('x-request-id'));
  // A browser does not say where an answer that it may not follow leads to.
  if (status < 200 || status > 299) {
    throw oddAnswer(status, `The server answered ${status}; redirects are not followed, because they would take the token along`);
  }
  if (text !== '' && json === undefined) throw oddAnswer(status, 'The server answered something else than JSON');
  const kept: Record<string, string> = {};
  for (const name of ['etag', 'x-request-id', 'x-sallyport-data-redacted']) {
    const value = headers.get(name);
    if (value !== null) kept[name] = value;
  }
  return new Response(text === '' ? null : text, { status: text === '' ? 204 : status, headers: kept });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Who asked for it finds that it is not there.
    return undefined;
  }
}
