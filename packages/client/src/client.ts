import createFetchClient from 'openapi-fetch';
import type { operations, paths } from './api.js';
import { ApiError } from './api-error.js';
import { routes } from './routes.js';
import { createTransport, type Fetch } from './transport.js';

/** An operation of the API by its `operationId`. */
export type OperationName = keyof typeof routes;

type PathOf<Name extends OperationName> = operations[Name]['parameters']['path'];
type QueryOf<Name extends OperationName> = NonNullable<operations[Name]['parameters']['query']>;
type FieldsOf<Name extends OperationName> = NonNullable<operations[Name]['parameters']['header']>;
type BodyOf<Name extends OperationName> = operations[Name] extends { requestBody: { content: { 'application/json': infer Body } } } ? Body : never;

/** What goes into a request for this operation. */
export type Asked<Name extends OperationName> = { readonly signal?: AbortSignal } & (PathOf<Name> extends object
  ? { readonly path: PathOf<Name> }
  : unknown) &
  ([QueryOf<Name>] extends [never]
    ? unknown
    : object extends QueryOf<Name>
      ? { readonly query?: QueryOf<Name> }
      : { readonly query: QueryOf<Name> }) &
  ([BodyOf<Name>] extends [never] ? unknown : { readonly body: BodyOf<Name> }) &
  /** The ETag that the thing still has to have; otherwise `precondition_failed`. */
  ('if-match' extends keyof FieldsOf<Name> ? { readonly ifMatch?: string | undefined } : unknown) &
  /** One is made up when it is left out, so that a repetition after a lost connection does it once. */
  ('idempotency-key' extends keyof FieldsOf<Name> ? { readonly idempotencyKey?: string } : unknown);

type Successes<Name extends OperationName> = operations[Name]['responses'][keyof operations[Name]['responses'] & (200 | 201 | 202)];

/** What an operation answers with. */
export type Result<Name extends OperationName> = Successes<Name> extends { content: { 'application/json': infer Body } } ? Body : undefined;

/** An answer that is none of a failure. */
export interface Answer<Data> {
  readonly data: Data;
  /** The version of what is shown, for `ifMatch`. */
  readonly etag: string | undefined;
  readonly requestId: string | undefined;
  /** Whether something that is secret was masked, because the caller may not see it. */
  readonly redacted: boolean;
}

type Method<Name extends OperationName> =
  object extends Asked<Name> ? (asked?: Asked<Name>) => Promise<Answer<Result<Name>>> : (asked: Asked<Name>) => Promise<Answer<Result<Name>>>;

/** The API as methods, each named as its operation in the OpenAPI document. Each rejects with `ApiError`. */
export type Client = { readonly [Name in OperationName]: Method<Name> };

/** What a client works with. At most one of `token`, `getToken` and `session`. */
export interface ClientOptions {
  /** The address of a service; it may have a path, below which the API is. */
  readonly baseUrl: string | URL;
  readonly token?: string;
  /** Asked before each request for a token that still holds. */
  readonly getToken?: () => string | Promise<string>;
  /** In browsers: the cookie of the session goes along, and the XSRF token that goes with it is kept and sent. */
  readonly session?: boolean;
  readonly fetch?: Fetch;
  /** For each attempt, in milliseconds. 30 seconds when left out. */
  readonly timeout?: number;
  /** Waits between two attempts. */
  readonly pause?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

interface AnyAsked {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly ifMatch?: string;
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** Any request of the client underneath: which path takes what is checked by the types of `Client`. */
type Request = (method: string, path: string, init: object) => Promise<{ data?: unknown; response: Response }>;

/** A client of one service of the control plane. Works in browsers and wherever else there is `fetch`. */
export function createClient(options: ClientOptions): Client {
  const { baseUrl, token, fetch = globalThis.fetch, timeout = 30_000, session = false, pause = wait } = options;
  const getToken = token === undefined ? options.getToken : () => token;
  const transport = createTransport({ fetch: (url, init) => fetch(url, init), timeout, getToken, session, pause });
  const underneath = createFetchClient<paths>({ baseUrl: String(baseUrl), fetch: transport });
  const request = underneath.request as unknown as Request;

  async function call(name: OperationName, asked: AnyAsked = {}): Promise<Answer<unknown>> {
    const { path, query, body, ifMatch, idempotencyKey, signal } = asked;
    const route: { readonly method: string; readonly path: string; readonly idempotencyKey?: true } = routes[name];
    requirePlainPath(path);
    const headers = {
      ...(ifMatch !== undefined && { 'if-match': ifMatch }),
      ...(route.idempotencyKey === true && { 'idempotency-key': idempotencyKey ?? newIdempotencyKey() }),
    };
    const { data, response } = await request(route.method, route.path, {
      params: { path, query },
      headers,
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
    });
    return {
      data,
      etag: response.headers.get('etag') ?? undefined,
      requestId: response.headers.get('x-request-id') ?? undefined,
      redacted: response.headers.get('x-sallyport-data-redacted') === 'true',
    };
  }

  const names = Object.keys(routes) as OperationName[];
  return Object.fromEntries(names.map((name) => [name, (asked?: AnyAsked) => call(name, asked)])) as unknown as Client;
}

/** A key for requests that are to be done once however often they are sent. */
export function newIdempotencyKey(): string {
  // `randomUUID` is missing in pages without TLS.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** An address forgets these segments, in whatever way they are written, so that another path would be asked than the one that was meant. */
function requirePlainPath(path: Readonly<Record<string, string>> = {}): void {
  for (const [name, value] of Object.entries(path)) {
    if (value === '' || value === '.' || value === '..') {
      throw new ApiError({ code: 'request_invalid', message: `${JSON.stringify(value)} cannot be the ${name} of anything` });
    }
  }
}

function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end);
      resolve();
    }, milliseconds);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
  });
}
