import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { ServerOptions as TlsOptions } from 'node:https';
import helmet from '@fastify/helmet';
import { SallyportError } from '@sallyport/sdk';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type RouteHandlerMethod } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { newId } from '../database/ids.js';
import type { CorsRequest, CorsVerdict } from '../sessions/cors-policy.js';
import type { ServiceCookie } from '../sessions/session-cookie.js';
import { requireXsrf } from '../sessions/xsrf.js';
import { methodsByPath } from './allowed-methods.js';
import { answerRequest } from './answer-request.js';
import { type Caller, callerOf, type IdentifyCaller } from './caller.js';
import type { Once } from './once.js';
import { openApiDocument, routeSchema } from './openapi.js';
import type { Operation, ServiceName } from './operation.js';
import { requirePlainData } from './plain-data.js';
import { errorOf, noteFailure, sendProblem } from './problem-answers.js';
import { redactionOf } from './redaction.js';
import { unheardConnections } from './unheard-connections.js';
import { refuseBytes, refusePath } from './unrouted-answers.js';

/** An app of Fastify with schemas of zod. */
export type ServiceApp = FastifyInstance<Server, IncomingMessage, ServerResponse, never, ZodTypeProvider>;

/** What happened to one request, for the log and the metrics. Holds no secret: the path is that of the operation. */
export interface ServedRequest {
  readonly service: ServiceName;
  readonly requestId: string;
  readonly method: string;
  /** The path with the names of its parameters; null when there is no such operation. */
  readonly route: string | null;
  /** 499 when the client was gone before it had the answer. */
  readonly status: number;
  readonly milliseconds: number;
  readonly actorId: string | undefined;
  /** Why it failed, when that is our fault. */
  readonly error: SallyportError | undefined;
}

/** What holds requests up when there are too many: each rejects with `rate_limited`. */
export interface Throttle {
  /** A credential did not hold. Never asked about one that holds: what others at the same address send must not shut anybody out. */
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
/** Nor any head: 32 KiB, in which the longest cursor fits beside a token. */
const HEAD_LIMIT = 32_768;
const CLIENT_GONE = 499;
/** A request id of the caller's is taken over when it looks like one. */
const REQUEST_ID = /^[\w.:-]{1,128}$/;

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null;
    failure: SallyportError | undefined;
    gone: AbortSignal;
  }
}

/** A service: its operations behind the same checks in the same order. Nothing listens yet. */
export async function createServiceApp(options: ServiceAppOptions): Promise<ServiceApp> {
  const { service, operations, onServed, trustedProxies = [] } = options;
  const app = fastify({
    ...(options.tls === undefined ? { http: { maxHeaderSize: HEAD_LIMIT } } : { https: { ...options.tls, maxHeaderSize: HEAD_LIMIT } }),
    logger: false,
    bodyLimit: BODY_LIMIT,
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    genReqId: ({ headers }: IncomingMessage) =>
      typeof headers['x-request-id'] === 'string' && REQUEST_ID.test(headers['x-request-id']) ? headers['x-request-id'] : newId('req'),
    routerOptions: { maxParamLength: 1024, ignoreTrailingSlash: false },
    requestTimeout: 60_000,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    frameworkErrors: refusePath,
    clientErrorHandler: refuseBytes,
  } as Parameters<typeof fastify>[0]) as unknown as ServiceApp;
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  app.decorateRequest('caller', null);
  app.decorateRequest('failure', undefined);
  app.decorateRequest('gone', null as unknown as AbortSignal);
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    frameguard: { action: 'deny' },
    hsts: options.tls !== undefined,
  });
  // JSON and nothing else: what Fastify reads as text besides would be a body that no schema fits.
  app.removeContentTypeParser('text/plain');
  let closing = false;
  const unheard = unheardConnections(app.server);
  app.addHook('preClose', async () => {
    closing = true;
    unheard.end();
  });
  app.addHook('onRequest', async (request, reply) => {
    unheard.heard(request.raw.socket);
    // Also comes when the client has gone before there was an answer, which no hook of Fastify's tells of.
    reply.raw.once('close', () => onServed(servedRequest(request, reply, service)));
    void reply.header('x-request-id', request.id).header('cache-control', 'no-store');
    if (closing) throw new SallyportError('not_ready', { hint: 'The service is stopping: ask another one, or again in a moment.' });
  });
  // A connection that stays open would hold up the end of the service for as long as its client likes.
  app.addHook('onSend', async (_request, reply) => {
    if (closing) void reply.header('connection', 'close');
  });
  const { cors } = options;
  if (cors !== undefined) app.addHook('onRequest', async (request, reply) => applyCors(request, reply, cors));
  app.setErrorHandler((error, request, reply) => {
    const known = errorOf(error);
    noteFailure(request, known);
    return sendProblem(known, request, reply);
  });
  const own = operations.filter(({ services }) => services.includes(service));
  const allowedAt = methodsByPath([...own, { method: 'GET', path: '/openapi.json' }]);
  // Before the body is read, whatever its kind and its size.
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return;
    const allowed = allowedAt(request.url.split('?', 1)[0] ?? '');
    if (allowed === '') throw new SallyportError('not_found', { hint: 'The paths of this service are in its /openapi.json.' });
    void reply.header('allow', allowed);
    throw new SallyportError('method_not_allowed');
  });
  for (const operation of own) addOperation(app, operation, options);
  const document = await openApiDocument(own, options.version);
  app.get('/openapi.json', { schema: { hide: true } }, async () => document);
  return app;
}

function servedRequest(request: FastifyRequest, reply: FastifyReply, service: ServiceName): ServedRequest {
  return {
    ...{ service, requestId: request.id, method: request.method, route: request.routeOptions.url ?? null },
    status: reply.raw.writableFinished ? reply.statusCode : CLIENT_GONE,
    ...{ milliseconds: reply.elapsedTime, actorId: request.caller?.actor.id, error: request.failure },
  };
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

function addOperation(app: ServiceApp, operation: Operation, options: ServiceAppOptions): void {
  const redaction = redactionOf(operation);
  const handler: RouteHandlerMethod = (request, reply) => answerRequest(request, reply, { ...operation, redaction }, options);
  app.route({
    method: operation.method,
    url: operation.path,
    schema: routeSchema(operation),
    onRequest: async (request, reply) => identify(request as FastifyRequest, reply as unknown as FastifyReply, operation, options),
    preValidation: async ({ params, query, body }) => {
      requirePlainData(params, 'params');
      requirePlainData(query, 'querystring');
      requirePlainData(body, 'body');
    },
    handler: handler as never,
  });
}

/** Who calls, before the body is read: who may not call costs no more than the head. */
async function identify(request: FastifyRequest, reply: FastifyReply, operation: Operation, options: ServiceAppOptions): Promise<void> {
  request.gone = untilGone(reply);
  const token = takeQueryToken(request);
  if (operation.unthrottled === true) return;
  const { throttle } = options;
  let caller: Caller | null;
  try {
    caller = await callerOfRequest(request, reply, token, options);
    if (caller === null && operation.access !== 'anyone') throw new SallyportError('authentication_required');
  } catch (error) {
    // From the limit on its rejection is the answer, so that guesses are held up.
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

/** Aborted when the client goes before it has its answer. The signal that Fastify has is aborted as soon as the body of the request has been read. */
function untilGone({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** Takes the token out of the query: it is no parameter of any operation, and must not show up in what a handler sees. */
function takeQueryToken(request: FastifyRequest): unknown {
  const query = request.query as Record<string, unknown>;
  const { auth_token: token } = query;
  delete query.auth_token;
  return token;
}

async function callerOfRequest(request: FastifyRequest, reply: FastifyReply, auth_token: unknown, options: ServiceAppOptions) {
  const { service, sessionCookie, identify: identified } = options;
  const { authorization, cookie } = request.headers;
  // Of two fields Node shows the first, whoever put it there.
  const fields = request.raw.headersDistinct.authorization?.length ?? 0;
  if ((auth_token !== undefined && typeof auth_token !== 'string') || fields > 1) {
    throw new SallyportError('token_invalid', { detail: 'The token is not accepted: there are two of them' });
  }
  const session = sessionCookie?.read(cookie);
  const found = await identified({ authorization, auth_token, session }, service, { requestId: request.id, signal: request.gone });
  if (found.forgetCookie && sessionCookie !== undefined) void reply.header('set-cookie', sessionCookie.clear());
  return callerOf(found, request.id);
}
