import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import type { Dispatcher, Pool } from 'undici';
import { type LocalGuardOptions, localGuard } from './local-requests.js';
import { type LoginTarget, loginRedirect } from './login-redirect.js';
import type { RequestSigner } from './request-token.js';
import { unreachable } from './server-failure.js';
import { basePath } from './server-url.js';
import type { Service } from './services.js';

/** What a local server does for whoever reaches it. At least one of `upstream` and `login` is there. */
export interface SigningProxyOptions extends LocalGuardOptions {
  readonly ip: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** Its own certificate and key in PEM; plain HTTP without. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly signer: RequestSigner;
  /** Where requests go, signed. */
  readonly upstream?: { readonly address: URL; readonly service: Service; readonly authorities: string | undefined } | undefined;
  /** Where `/login-redirect` may lead; it is not there without. */
  readonly login?: readonly LoginTarget[] | undefined;
}

/** A local server that runs. */
export interface SigningProxy {
  readonly url: string;
  /** Ends what is in flight too. */
  close(): Promise<void>;
}

/** The fields that concern one connection (RFC 9110 §7.6.1), those that say who asks, and cookies: those of this host are of other programs on it. */
const NOT_SENT_ON = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'host',
  'authorization',
  'cookie',
  'set-cookie',
  'content-length',
]);
const CONNECT_TIMEOUT = 10_000;
/** An answer may take long to begin, and as long as it likes to go on. */
const HEADERS_TIMEOUT = 300_000;

/** Starts the server. Errors: `address_in_use`, `bind_failed`. */
export async function openSigningProxy(options: SigningProxyOptions): Promise<SigningProxy> {
  const { ip, port, tls, upstream, login, signer } = options;
  const judge = localGuard(options);
  const pool = upstream === undefined ? undefined : await openPool(upstream.address, upstream.authorities);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = targetOf(request);
    const isLogin = login !== undefined && pathname === '/login-redirect';
    const objection = judge(request, isLogin);
    if (objection !== null) throw new SallyportError('local_request_refused', { detail: objection });
    if (isLogin) {
      if (request.method !== 'GET') throw new SallyportError('method_not_allowed', { detail: 'Only GET is answered here.' });
      const location = await loginRedirect(searchParams.get('return_to_url') ?? searchParams.get('returnToUrl'), login, signer);
      response.writeHead(302, { Location: location, 'Content-Length': 0, 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' }).end();
    } else if (pool === undefined || upstream === undefined) {
      throw new SallyportError('not_found', { detail: 'There is nothing but /login-redirect here.' });
    } else await forward(request, response, pool, upstream, signer);
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch((error: unknown) => refuse(request, response, asSallyportError(error)));
  };
  const server = tls === undefined ? createServer(listener) : makeTlsServer(tls, listener);
  // A signed request may be long in coming; a head may not.
  server.requestTimeout = 0;
  await listen(server, ip, port);
  return {
    url: urlOf(server, tls !== undefined),
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await Promise.all([closed, pool?.destroy()]);
    },
  };
}

async function openPool(address: URL, authorities: string | undefined): Promise<Pool> {
  const { Pool: UndiciPool } = await import('undici');
  const connect = { timeout: CONNECT_TIMEOUT, ...(authorities !== undefined && { ca: authorities }) };
  return new UndiciPool(address.origin, { connect, headersTimeout: HEADERS_TIMEOUT, bodyTimeout: 0, connections: 128 });
}

/** Sends the request on with a token in the place of whatever it came with, and the answer back, both as they arrive. */
async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  pool: Pool,
  { address, service }: NonNullable<SigningProxyOptions['upstream']>,
  signer: RequestSigner,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const token = await signer.tokenFor(service);
  const length = request.headers['content-length'];
  const hasBody = length !== undefined ? length !== '0' : request.headers['transfer-encoding'] !== undefined;
  let answer: Dispatcher.ResponseData;
  try {
    answer = await pool.request({
      method: request.method ?? 'GET',
      path: `${basePath(address)}${request.url ?? '/'}`,
      headers: [
        ...endToEnd(request.rawHeaders, request.headers.connection),
        'authorization',
        `Bearer ${token.reveal()}`,
        ...(hasBody && length !== undefined ? ['content-length', length] : []),
      ],
      body: hasBody ? request : null,
      signal: gone.signal,
      responseHeaders: 'raw',
    });
  } catch (error) {
    throw unreachable(address.origin, error);
  }
  // Asked for raw, they are names and values in turn, which its type does not say.
  const raw = answer.headers as unknown as readonly string[];
  const contentLength = fieldOf(raw, 'content-length');
  response.writeHead(answer.statusCode, [
    ...endToEnd(raw, fieldOf(raw, 'connection')),
    ...(contentLength === undefined ? [] : ['Content-Length', contentLength]),
  ]);
  answer.body.once('error', () => response.destroy());
  answer.body.pipe(response);
}

/** Names and values in turn, without those that are not for the other side and those that `Connection` names. */
function endToEnd(raw: readonly string[], connection: string | undefined): string[] {
  const named = new Set((connection ?? '').split(',').map((name) => name.trim().toLowerCase()));
  return raw.flatMap((name, index) => {
    if (index % 2 === 1) return [];
    const lower = name.toLowerCase();
    return NOT_SENT_ON.has(lower) || named.has(lower) ? [] : [name, raw[index + 1] ?? ''];
  });
}

function fieldOf(raw: readonly string[], name: string): string | undefined {
  const at = raw.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === name);
  return at === -1 ? undefined : raw[at + 1];
}

/** Only a path is taken: an absolute address would name another host than the one that is meant. */
function targetOf({ url = '' }: IncomingMessage): URL {
  if (url.startsWith('/') && !url.startsWith('//') && URL.canParse(url, 'http://here')) return new URL(url, 'http://here');
  throw new SallyportError('request_target_unsupported', {
    detail: 'This server takes requests for a path.',
    hint: 'Call it as any other web server.',
  });
}

function refuse(request: IncomingMessage, response: ServerResponse, { code, status, message, hint }: SallyportError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const answered = status === 0 ? 502 : status;
  const body = JSON.stringify({ title: message, status: answered, detail: message, code, hint });
  response.writeHead(answered, {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Sallyport-Error': code,
    // What is left of the body would be taken for the next request.
    ...(request.complete ? {} : { Connection: 'close' }),
    ...(status === 405 && { Allow: 'GET' }),
  });
  response.end(body);
}

function makeTlsServer(
  tls: { readonly cert: string; readonly key: string },
  listener: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  try {
    return createTlsServer({ ...tls, minVersion: 'TLSv1.2' }, listener);
  } catch (cause) {
    throw new SallyportError('bind_failed', { detail: 'The certificate and the key do not go together.', hint: 'Check --cert and --key.', cause });
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE';
      const detail = inUse ? `Something else listens on ${host}:${port}.` : `${host}:${port} cannot be opened (${error.code}).`;
      reject(new SallyportError(inUse ? 'address_in_use' : 'bind_failed', { detail, hint: 'Choose another --port or --ip.', cause: error }));
    });
    server.listen({ host, port }, resolve);
  });
  // A connection that cannot be accepted ends nothing.
  server.removeAllListeners('error').on('error', () => {});
}

function urlOf(server: Server, encrypted: boolean): string {
  const { address, port } = server.address() as AddressInfo;
  return `${encrypted ? 'https' : 'http'}://${address.includes(':') ? `[${address}]` : address}:${port}`;
}
