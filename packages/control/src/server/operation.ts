import type { ErrorCode, SallyportError } from '@sallyport/sdk';
import type { z } from 'zod';
import type { VersionCondition } from '../database/entity-tag.js';
import type { Caller } from './caller.js';

/** A service of the control plane, which is also the audience (`aud`) of the tokens that it accepts. */
export type ServiceName = 'public' | 'api' | 'admin-api' | 'worker';

/**
 * Who may call an operation. With a permission the caller has to hold `verb` on `resource`, for the object in the path parameter `id` if one is
 * named; `namespace` is the parameter that is its namespace where that can be told without looking it up. The document shows all of it, and the
 * permission matrix of the tests is made from there.
 */
export type Access =
  | 'anyone'
  | 'authenticated'
  | { readonly resource: string; readonly verb: string; readonly id?: string | undefined; readonly namespace?: string | undefined };

/** What a handler knows of a request. `caller` is null only where anyone may call. */
export interface Call<Params, Query, Body, Who> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly caller: Who;
  readonly service: ServiceName;
  readonly requestId: string;
  /** What If-Match asks for. */
  readonly ifMatch: VersionCondition | undefined;
  /** A field of the request by its name in lower case. */
  readonly header: (name: string) => string | undefined;
  /** The address of the client, behind the proxies that are trusted. */
  readonly address: string;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

/** What a handler answers: the body of the operation's schema, the version of what it shows (it becomes the ETag), further fields. */
type Answer<Body> = (undefined extends Body ? { readonly body?: undefined } : { readonly body: Body }) & {
  readonly version?: number;
  /** Another status than that of the operation; the body has the same schema. */
  readonly status?: 503;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** What went wrong although the answer is no problem document, such as one that sends a browser on: for the log. */
  readonly failure?: SallyportError;
};

interface Definition<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType, Result extends z.ZodType, Grant extends Access> {
  /** `operationId` of the document and the name of the client's method. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As Fastify writes it: `/namespaces/:path`. */
  readonly path: `/${string}`;
  readonly services: readonly ServiceName[];
  readonly tag: string;
  /** One sentence without a full stop. */
  readonly summary: string;
  readonly description?: string;
  readonly access: Grant;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly status: 200 | 201 | 202 | 204 | 302;
  /** Nothing for 204 and 302. */
  readonly result?: Result;
  /** The codes of this operation, besides those that every operation has. */
  readonly errors?: readonly ErrorCode[];
  /** The same key twice is done once. For everything that is not repeatable by its nature. */
  readonly idempotencyKey?: boolean;
  /** It can be made to depend on the version that was read. */
  readonly conditional?: boolean;
  /** It changes nothing, or guards itself: a session may call it without its XSRF token. */
  readonly withoutXsrf?: boolean;
  /** It answers however often it is asked: for those who watch over the service. */
  readonly unthrottled?: boolean;
  readonly handle: (
    call: Call<z.output<Params>, z.output<Query>, z.output<Body>, Grant extends 'anyone' ? Caller | null : Caller>,
  ) => Promise<Answer<z.input<Result>>>;
}

/** An answer of any operation. */
export type ServedAnswer = Omit<Answer<undefined>, 'body'> & { readonly body?: unknown };

/** One operation of the API: where it is, who may call it, what comes in and goes out, and what is done. */
export interface Operation extends Omit<Definition<z.ZodType, z.ZodType, z.ZodType, z.ZodType, Access>, 'handle'> {
  readonly handle: (call: Call<unknown, unknown, unknown, Caller | null>) => Promise<ServedAnswer>;
}

/** An operation as a value; the types of its handler are those of its schemas. */
export function operation<
  Params extends z.ZodType = z.ZodUndefined,
  Query extends z.ZodType = z.ZodUndefined,
  Body extends z.ZodType = z.ZodUndefined,
  Result extends z.ZodType = z.ZodUndefined,
  const Grant extends Access = Access,
>(definition: Definition<Params, Query, Body, Result, Grant>): Operation {
  // The app hands each handler what its own schemas have read.
  return definition as unknown as Operation;
}
