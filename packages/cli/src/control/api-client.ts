import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SallyportError, type Secret } from '@sallyport/sdk';
import type { Dispatcher } from 'undici';
import { isPassing, refusal, unreachable } from './server-failure.js';
import { basePath } from './server-url.js';

/** A request to the control plane. */
export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the address of the server, such as `/api/actors`. What is put into it has to be percent-encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** The ETag that the thing still has to have. */
  readonly ifMatch?: string;
  readonly signal?: AbortSignal;
}

/** An answer that is none of a failure. */
export interface ApiAnswer {
  readonly status: number;
  /** What the JSON says; undefined when there is no content. */
  readonly body: unknown;
  readonly etag: string | undefined;
}

/** Talks to one service of the control plane. */
export interface ApiClient {
  /**
   * Asks once, or up to three times where that can do no harm: everything but a POST or PATCH is idempotent, and these carry an idempotency key, so that
   * the server does once what it is told twice. Rejects with the error of the problem document, `server_refused`, `server_unreachable` or
   * `server_answer_invalid`.
   */
  request(request: ApiRequest): Promise<ApiAnswer>;
  /** A list, page by page, as `{items, cursor}` names them. A page is fetched when it is asked for. */
  pages(path: string, query?: ApiRequest['query'], signal?: AbortSignal): AsyncGenerator<readonly unknown[], void, undefined>;
  close(): Promise<void>;
}

/** What a client works with. */
export interface ApiClientOptions {
  readonly address: URL;
  readonly token: () => Promise<Secret>;
  /** Authorities in PEM, instead of the public ones. */
  readonly authorities?: string | undefined;
  /** For each attempt, in milliseconds. 30 seconds when left out. */
  readonly timeout?: number;
  /** Waits between two attempts. */
  readonly pause?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
}

const MOST_ATTEMPTS = 3;
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 10_000;
const LARGEST_ANSWER = 16 * 1024 * 1024;
const TRANSIENT: readonly number[] = [429, 502, 503, 504];

/** A client of this service. The token goes to its origin and to no other: redirects are not followed. */
export async function openApiClient(options: ApiClientOptions): Promise<ApiClient> {
  const { address, token, authorities, timeout = 30_000, pause = wait } = options;
  const { Pool } = await import('undici');
  const pool = new Pool(address.origin, {
    connect: { timeout, ...(authorities !== undefined && { ca: authorities }) },
    headersTimeout: timeout,
    bodyTimeout: timeout,
    connections: 4,
  });

  async function attempt(path: string, { method = 'GET', body, ifMatch, signal }: ApiRequest, idempotencyKey: string | null): Promise<Heard> {
    const headers = {
      accept: 'application/json',
      authorization: `Bearer ${(await token()).reveal()}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(ifMatch !== undefined && { 'if-match': ifMatch }),
      ...(idempotencyKey !== null && { 'idempotency-key': idempotencyKey }),
    };
    const limit = AbortSignal.any([AbortSignal.timeout(timeout), ...(signal === undefined ? [] : [signal])]);
    const answer = await pool.request({ method, path, headers, signal: limit, ...(body !== undefined && { body: JSON.stringify(body) }) });
    return { status: answer.statusCode, headers: answer.headers, text: await readText(answer.body) };
  }

  async function request(request: ApiRequest): Promise<ApiAnswer> {
    const path = `${basePath(address)}${request.path}${queryOf(request.query)}`;
    const idempotencyKey = request.method === 'POST' || request.method === 'PATCH' ? randomUUID() : null;
    for (let count = 1; ; count += 1) {
      let heard: Heard | SallyportError;
      let passing: boolean;
      try {
        heard = await attempt(path, request, idempotencyKey);
        passing = TRANSIENT.includes(heard.status);
      } catch (error) {
        request.signal?.throwIfAborted();
        if (error instanceof SallyportError) throw error;
        heard = unreachable(address.origin, error);
        passing = isPassing(error);
      }
      const delay = passing && count < MOST_ATTEMPTS ? pauseBefore(count, heard) : null;
      if (delay !== null) await pause(delay, request.signal);
      else if (heard instanceof SallyportError) throw heard;
      else return understood(heard, address.origin);
    }
  }

  return {
    request,
    async *pages(path, query, signal) {
      const aborts = signal === undefined ? {} : { signal };
      let next: ApiRequest = { path, ...(query !== undefined && { query }), ...aborts };
      for (const seen = new Set<string>(); ; ) {
        const { items, cursor } = pageOf((await request(next)).body, address.origin);
        yield items;
        if (cursor === undefined) return;
        if (seen.has(cursor)) throw odd(address.origin, 'hands out the same page again and again');
        seen.add(cursor);
        // The filter of the first page travels in the cursor.
        next = { path, query: { cursor }, ...aborts };
      }
    },
    close: () => pool.destroy(),
  };
}

interface Heard {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly text: string;
}

async function wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
}

/** How long to wait, or null when the server wants more patience than anybody has. Random, so that many clients do not come back together. */
function pauseBefore(count: number, heard: Heard | SallyportError): number | null {
  const asked = heard instanceof SallyportError ? undefined : one(heard.headers['retry-after']);
  if (asked !== undefined && /^[0-9]{1,9}$/.test(asked)) return Number(asked) * 1000 > LONGEST_PAUSE ? null : Number(asked) * 1000;
  return FIRST_PAUSE * 2 ** (count - 1) * (0.5 + Math.random() / 2);
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > LARGEST_ANSWER) throw new SallyportError('server_answer_invalid', { detail: 'The answer of the server is larger than 16 MiB.' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function understood({ status, headers, text }: Heard, origin: string): ApiAnswer {
  const type = one(headers['content-type']) ?? '';
  const json = /^application\/(?:[\w.-]+\+)?json\b/i.test(type) ? parsed(text) : undefined;
  if (status >= 400) throw refusal(status, json, one(headers['x-request-id']));
  if (status < 200 || status > 299) throw odd(origin, `answered ${status}; redirects are not followed, because they would take the token along`);
  if (text !== '' && json === undefined) throw odd(origin, 'answered something else than JSON');
  return { status, body: json, etag: one(headers.etag) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Who asked for it finds that it is not there.
    return undefined;
  }
}

function pageOf(body: unknown, origin: string): { readonly items: readonly unknown[]; readonly cursor: string | undefined } {
  if (typeof body === 'object' && body !== null && 'items' in body && Array.isArray(body.items)) {
    const cursor = 'cursor' in body ? body.cursor : undefined;
    const items = body.items as readonly unknown[];
    if (cursor === undefined || cursor === null || cursor === '') return { items, cursor: undefined };
    if (typeof cursor === 'string') return { items, cursor };
  }
  throw odd(origin, 'answered something else than a page of a list');
}

function queryOf(query: ApiRequest['query']): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) parameters.append(name, String(value));
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}

function one(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field[0] : field;
}

function odd(origin: string, clause: string): SallyportError {
  return new SallyportError('server_answer_invalid', { detail: `${origin} ${clause}.` });
}
