import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { ServerOptions as TlsOptions } from 'node:https';
import helmet from '@fastify/helmet';
import { SallyportError } from '@sallyport/sdk';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type RouteHandlerMethod } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { entityTag, parseIfMatch } from '../database/entity-tag.js';
import { newId } from '../database/ids.js';
import { entriesOf } from '../permissions/permission.js';
import type { CorsRequest, CorsVerdict } from '../sessions/cors-policy.js';
import type { ServiceCookie } from '../sessions/session-cookie.js';
import { requireXsrf } from '../sessions/xsrf.js';
import { type Caller, callerOf, type IdentifyCaller } from './caller.js';
import { openApiDocument, routeSchema } from './openapi.js';
import type { Operation, ServedAnswer, ServiceName } from './operation.js';
import { errorOf, sendProblem } from './problem-answers.js';
import { type Redaction, redactionOf } from './redaction.js';

/** An app of Fastify with schemas of zod. */
export type ServiceApp = FastifyInstance<Server, IncomingMessage, ServerResponse, never, ZodTypeProvider>;

/** What happened to one request, for the log and the metrics. Holds no secret: the path is that of the operation. */
export interface ServedRequest {
  readonly service: ServiceName;
  readonly requestId: string;
  readonly method: string;
  /** The path with the names of its parameters; null when there is no such operation. */
  readonly route: string | null;
  readonly status: number;
  readonly milliseconds: number;
  readonly actorId: string | undefined;
  /** Why it failed, when that is our fault. */
  readonly error: SallyportError | undefined;
}

/** Runs an operation in such a way that the same idempotency key does it once. */
export type Once = (
  request: { readonly key: string; readonly actorId: string; readonly method: string; readonly path: string; readonly body: unknown },
  work: () => Promise<StoredAnswer>,
) => Promise<StoredAnswer>;

/** An answer as it is kept for repetitions. */
export interface StoredAnswer {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What holds requests up when there are too many: each rejects with `rate_limited`. */
export interface Throttle {
  /** Before a credential is looked at: whoever has shown too many wrong ones from this address waits. */
  readonly admit: (address: string) => Promise<void>;
  /** A credential did not hold. */
  readonly charge: (address: string) => Promise<void>;
  /** A request of a caller, or of nobody. Answers the fields that say how much is left. */
  readonly count: (caller: Caller | null, address: string) => Promise<Readonly<Record<string, string>>>;
}

/** What an app is made of. */
export interface ServiceAppOptions {
  readonly service: ServiceName;
  readonly operations: readonly Operation[];
  /** Of the program: it stands in the document. */
  readonly version: string;
  readonly identify: IdentifyCaller;
  /** The cookie of its sessions; a service without one has none. */
  readonly sessionCookie?: ServiceCookie;
  /** Which pages of other origins may call it; none when left out. */
  readonly cors?: (request: CorsRequest) => CorsVerdict;
  readonly once: Once;
  readonly throttle: Throttle;
  readonly onServed: (request: ServedRequest) => void;
  /** CIDRs of the proxies whose `X-Forwarded-For` is believed; none when left out. */
  readonly trustedProxies?: readonly string[];
  readonly tls?: TlsOptions;
}

/** No body of this API is larger: 1 MiB. */
const BODY_LIMIT = 1_048_576;
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
/** A request id of the caller's is taken over when it looks like one. */
const REQUEST_ID = /^[\w.:-]{1,128}$/;

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null;
    failure: SallyportError | undefined;
  }
}

/** A service: its operations behind the same checks in the same order. Nothing listens yet. */
export async function createServiceApp(options: ServiceAppOptions): Promise<ServiceApp> {
  const { service, operations, onServed, trustedProxies = [] } = options;
  const app = fastify({
    ...(options.tls === undefined ? {} : { https: options.tls }),
    logger: false,
    bodyLimit: BODY_LIMIT,
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    genReqId: ({ headers }: IncomingMessage) =>
      typeof headers['x-request-id'] === 'string' && REQUEST_ID.test(headers['x-request-id']) ? headers['x-request-id'] : newId('req'),
    routerOptions: { maxParamLength: 1024, ignoreTrailingSlash: false },
    requestTimeout: 60_000,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
  } as Parameters<typeof fastify>[0]) as unknown as ServiceApp;
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  app.decorateRequest('caller', null);
  app.decorateRequest('failure', undefined);
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    hsts: options.tls !== undefined,
  });
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id).header('cache-control', 'no-store');
  });
  const { cors } = options;
  if (cors !== undefined)
    app.addHook('onRequest', async (request, reply) => applyCors(request as FastifyRequest, reply as unknown as FastifyReply, cors));
  app.addHook('onResponse', async (request, reply) => {
    onServed({
      ...{ service, requestId: request.id, method: request.method, route: request.routeOptions.url ?? null, status: reply.statusCode },
      ...{ milliseconds: reply.elapsedTime, actorId: request.caller?.actor.id, error: request.failure },
    });
  });
  app.setErrorHandler((error, request, reply) => {
    const known = errorOf(error);
    if (known.status === 0 || known.status >= 500) request.failure = known;
    return sendProblem(known, request, reply);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(new SallyportError('not_found', { hint: 'The paths of this service are in its /openapi.json.' }), request, reply),
  );
  const own = operations.filter(({ services }) => services.includes(service));
  for (const operation of own) addOperation(app, operation, options);
  const document = await openApiDocument(own, options.version);
  app.get('/openapi.json', { schema: { hide: true } as object }, async () => document);
  refuseOtherMethods(app, own);
  return app;
}

async function applyCors(
  request: FastifyRequest,
  reply: FastifyReply,
  cors: (request: CorsRequest) => CorsVerdict,
): Promise<FastifyReply | undefined> {
  const { origin, 'access-control-request-method': requestedMethod } = request.headers;
  const verdict = cors({ method: request.method, origin, requestedMethod });
  void reply.headers(verdict.headers);
  if (verdict.kind === 'pass') return undefined;
  return reply.code(verdict.kind === 'preflight' ? 204 : 403).send();
}

/** An operation with what it does about secrets. */
type ServedOperation = Operation & { readonly redaction: Redaction };

function addOperation(app: ServiceApp, operation: Operation, options: ServiceAppOptions): void {
  const redaction = redactionOf(operation);
  const handler: RouteHandlerMethod = (request, reply) => handle(request, reply, { ...operation, redaction }, options);
  app.route({
    method: operation.method,
    url: operation.path,
    schema: routeSchema(operation),
    onRequest: async (request, reply) => identify(request as FastifyRequest, reply as unknown as FastifyReply, operation, options),
    handler: handler as never,
  });
}

/** Who calls, before the body is read: who may not call costs no more than the head. */
async function identify(request: FastifyRequest, reply: FastifyReply, operation: Operation, options: ServiceAppOptions): Promise<void> {
  if (operation.unthrottled === true) return;
  const { throttle } = options;
  let caller: Caller | null;
  await throttle.admit(request.ip);
  try {
    caller = await callerOfRequest(request, reply, options);
    if (caller === null && operation.access !== 'anyone') throw new SallyportError('authentication_required');
  } catch (error) {
    if (error instanceof SallyportError && error.status === 401) await throttle.charge(request.ip);
    throw error;
  }
  const fields = await throttle.count(caller, request.ip);
  for (const [name, value] of Object.entries(fields)) void reply.header(name, value);
  request.caller = caller;
  if (caller?.shown.kind !== 'session') return;
  const { xsrf } = caller.shown;
  void reply.header('x-xsrf-token', xsrf.token.reveal());
  const given = request.headers['x-xsrf-token'];
  if (operation.withoutXsrf !== true) requireXsrf(request.method, xsrf, typeof given === 'string' ? given : undefined);
}

async function callerOfRequest(request: FastifyRequest, reply: FastifyReply, { service, sessionCookie, identify: identified }: ServiceAppOptions) {
  const { authorization, cookie } = request.headers;
  const query = request.query as Record<string, unknown>;
  const { auth_token } = query;
  // It is no parameter of any operation, and must not show up in what a handler sees.
  delete query.auth_token;
  if (auth_token !== undefined && typeof auth_token !== 'string') throw new SallyportError('token_invalid');
  const session = sessionCookie?.read(cookie);
  const found = await identified({ authorization, auth_token, session }, service, { requestId: request.id, signal: request.signal });
  if (found.forgetCookie && sessionCookie !== undefined) void reply.header('set-cookie', sessionCookie.clear());
  return callerOf(found, request.id);
}

async function handle(request: FastifyRequest, reply: FastifyReply, operation: ServedOperation, options: ServiceAppOptions): Promise<FastifyReply> {
  const { caller } = request;
  const key = request.headers['idempotency-key'];
  operation.redaction.refuseMasked(request.body);
  if (operation.idempotencyKey !== true || key === undefined || caller === null) {
    const answer = await call(request, operation, options);
    for (const [name, value] of Object.entries(answer.headers ?? {})) void reply.header(name, value);
    return reply.code(answer.status ?? operation.status).send(answer.body);
  }
  if (typeof key !== 'string') throw new SallyportError('idempotency_key_invalid');
  const stored = await options.once(asked(request, caller, key), async () => {
    const { body, headers = {} } = await call(request, operation, options);
    const text = body === undefined ? '' : reply.serializeInput(body as Record<string, unknown>, String(operation.status), 'application/json');
    const fields = Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : value.join(', ')]);
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
function asked({ method, url, body }: FastifyRequest, { actor, by }: Caller, key: string): Parameters<Once>[0] {
  return { key, actorId: actor.id, method, path: url.split('?', 1)[0] ?? '', body: { body, permissions: entriesOf(by.authority.permissions) } };
}

async function call(request: FastifyRequest, operation: ServedOperation, { service }: ServiceAppOptions): Promise<ServedAnswer> {
  const { params, query, body, caller, id: requestId, ip: address, signal } = request;
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

/** Where there is a path but not with this method the answer is 405 with the methods that there are (RFC 9110 §15.5.6). */
function refuseOtherMethods(app: ServiceApp, operations: readonly Operation[]): void {
  const paths = new Map<string, string[]>();
  for (const { path, method } of operations) paths.set(path, [...(paths.get(path) ?? []), method]);
  for (const [url, methods] of paths) {
    const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : [])].sort().join(', ');
    app.route({
      method: METHODS.filter((method) => !methods.includes(method)),
      url,
      schema: { hide: true } as object,
      handler: (request, reply) =>
        sendProblem(
          new SallyportError('method_not_allowed'),
          request as unknown as FastifyRequest,
          reply.header('allow', allow) as unknown as FastifyReply,
        ) as never,
    });
  }
}
