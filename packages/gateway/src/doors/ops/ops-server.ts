import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import type { Metrics } from '../../record/metrics.js';
import { problemDocument, problemMediaType } from '../../record/problem.js';
import { type SigningServices, signOverHttp } from '../../tls/renewal/signing-endpoint.js';
import { isLoopbackAddress, namesThisMachine } from './host-check.js';
import { type ReadinessReport, unreadiness } from './readiness.js';

/** What the ops listener tells about. */
export interface OpsOptions {
  readonly metrics: Pick<Metrics, 'render'>;
  readonly version: string;
  /** Asked for every `/_ops/ready`; must answer at once. */
  readonly readiness: () => ReadinessReport;
  /** Who signs certificate requests at the moment. */
  readonly signing: () => SigningServices;
}

/** The listener for those who run the gateway: health, readiness, version and metrics. It never sees an exchange. */
export interface OpsServer {
  /** Opens the listener and resolves with its port (0 picks a free one). Errors: `address_in_use`, `bind_failed`. Once only. */
  listen(host: string, port: number): Promise<number>;
  /** Stops accepting, lets running answers finish, and resolves when every connection is closed. */
  close(): Promise<void>;
}

interface Answer {
  readonly type: string;
  readonly body: string;
}

/** Far more than a few probes and scrapers need, far less than would hurt the gateway. */
const CONNECTIONS = 64;
const TIMEOUT = 5_000;

/** Signing, which is offered only where nobody from outside can ask for it. */
const SIGN = '/_ops/certs/sign';

const PATHS: Readonly<Record<string, (options: OpsOptions) => Answer | Promise<Answer>>> = {
  '/_ops/health': () => json({ status: 'alive' }),
  '/_ops/ready': ({ readiness }) => {
    const reason = unreadiness(readiness());
    if (reason !== null) throw reason;
    return json({ status: 'ready' });
  },
  '/_ops/version': ({ version }) => json({ version }),
  '/metrics': async ({ metrics }) => {
    const { contentType, text } = await metrics.render();
    return { type: contentType, body: text };
  },
};

/** Makes the listener without opening it. */
export function createOpsServer(options: OpsOptions): OpsServer {
  let allowedHost: string | null = null;
  const server = createServer({ maxHeaderSize: 8 * 1024, connectionsCheckingInterval: 1_000 }, (request, response) => {
    void answer(request, response, options, allowedHost);
  });
  server.maxConnections = CONNECTIONS;
  server.headersTimeout = TIMEOUT;
  server.requestTimeout = TIMEOUT;
  server.keepAliveTimeout = TIMEOUT;
  // A client that does not read its answer.
  server.timeout = 2 * TIMEOUT;

  return {
    async listen(host, port) {
      await opened(server, host, port);
      const { address, port: chosen } = server.address() as AddressInfo;
      if (isLoopbackAddress(address)) allowedHost = host;
      return chosen;
    },
    async close() {
      if (!server.listening) return;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** `allowedHost` is null where every Host is answered. */
async function answer(request: IncomingMessage, response: ServerResponse, options: OpsOptions, allowedHost: string | null): Promise<void> {
  try {
    if (allowedHost !== null && !namesThisMachine(request.headers.host, allowedHost)) {
      throw new SallyportError('misdirected_request', {
        detail: 'This listener is for programs on this machine only and does not answer to that host.',
        hint: 'Call it as localhost or 127.0.0.1, or bind it to an address that others may reach.',
      });
    }
    const [path = ''] = (request.url ?? '').split('?', 1);
    if (path === SIGN && allowedHost !== null) {
      if (request.method !== 'POST') throw refusedMethod(response, 'POST');
      send(response, 200, await signOverHttp(request, options.signing()));
      return;
    }
    if (!Object.hasOwn(PATHS, path)) throw new SallyportError('not_found', { hint: `The paths here are ${Object.keys(PATHS).join(', ')}.` });
    if (request.method !== 'GET' && request.method !== 'HEAD') throw refusedMethod(response, 'GET, HEAD');
    send(response, 200, await PATHS[path](options));
  } catch (error) {
    refuse(response, asSallyportError(error));
  }
}

function refusedMethod(response: ServerResponse, allowed: string): SallyportError {
  response.setHeader('Allow', allowed);
  return new SallyportError('method_not_allowed');
}

function refuse(response: ServerResponse, error: SallyportError): void {
  response.setHeader('X-Sallyport-Error', error.code);
  // A body that nobody reads may still be on its way.
  response.setHeader('Connection', 'close');
  send(response, error.status, { type: problemMediaType, body: problemDocument(error, { requestId: randomUUID() }) });
}

/** Node leaves out the body by itself when the request was a HEAD, and the length stays that of the GET (RFC 9110 §9.3.2). */
function send(response: ServerResponse, status: number, { type, body }: Answer): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(body);
}

function json(value: Readonly<Record<string, string>>): Answer {
  return { type: 'application/json', body: JSON.stringify(value) };
}

async function opened(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen({ host, port }, resolve);
  });
  // Later errors concern one connection that could not be accepted; the listener goes on.
  server.removeAllListeners('error').on('error', () => {});
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): SallyportError {
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return error.code === 'EADDRINUSE'
    ? new SallyportError('address_in_use', { detail: `The ops listener cannot use ${where}: something else listens there.`, cause: error })
    : new SallyportError('bind_failed', { detail: `The ops listener cannot be opened on ${where}: ${error.message}.`, cause: error });
}
