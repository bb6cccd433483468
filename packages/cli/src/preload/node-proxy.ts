// Loaded by `--import` into every Node under `sallyport run`. A Node that knows NODE_USE_ENV_PROXY needs none of this; the others learn here to send
// fetch, node:http and node:https through the proxy of the environment. Whatever goes wrong in here, the program goes on as if it were not there.

import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { bypasses } from './no-proxy-match.js';

type Created = (error: Error | null, stream?: Duplex) => void;
interface Options extends https.RequestOptions {
  socket?: Socket;
}

/** Under this name every undici, the one inside Node too, looks for the dispatcher that it uses. */
const DISPATCHER = Symbol.for('undici.globalDispatcher.1');

try {
  if (!process.allowedNodeEnvironmentFlags.has('--use-env-proxy')) install();
} catch {
  // Then the program reaches what it can reach directly.
}

function install(): void {
  const { env } = process;
  const noProxy = env.no_proxy || env.NO_PROXY || '';
  const secure = proxyUrl(env.https_proxy || env.HTTPS_PROXY);
  const plain = proxyUrl(env.http_proxy || env.HTTP_PROXY);
  if (secure !== null) https.globalAgent = tunnelling(https.Agent, secure, noProxy, 443);
  if (plain !== null) http.globalAgent = tunnelling(http.Agent, plain, noProxy, 80);
  useForFetch();
}

/** undici is loaded when somebody asks for a dispatcher: most programs never do, and loading it takes longer than many of them run. */
function useForFetch(): void {
  if (Object.hasOwn(globalThis, DISPATCHER)) return;
  const define = (property: PropertyDescriptor): unknown =>
    Object.defineProperty(globalThis, DISPATCHER, { configurable: true, enumerable: false, ...property });
  define({
    get() {
      // While it loads, undici looks here itself: whoever comes now finds nothing, and puts there what it uses by default.
      define({ value: undefined, writable: true });
      try {
        const { EnvHttpProxyAgent, setGlobalDispatcher } = createRequire(import.meta.url)('undici') as typeof import('undici');
        const dispatcher = new EnvHttpProxyAgent();
        setGlobalDispatcher(dispatcher);
        return dispatcher;
      } catch {
        return undefined;
      }
    },
    set(chosen: Dispatcher) {
      define({ value: chosen, writable: true });
    },
  });
}

function proxyUrl(text: string | undefined): URL | null {
  if (text === undefined || text === '') return null;
  const url = new URL(text);
  return url.protocol === 'http:' ? url : null;
}

/** An agent of the given kind that opens its connections by CONNECT, but for hosts in NO_PROXY, the proxy itself, and sockets of the file system. */
function tunnelling<Kind extends typeof http.Agent | typeof https.Agent>(
  kind: Kind,
  proxy: URL,
  noProxy: string,
  defaultPort: number,
): InstanceType<Kind> {
  // What Node gives its own global agents.
  const agent = new kind({ keepAlive: true, scheduling: 'lifo', timeout: 5_000 }) as InstanceType<Kind>;
  const direct = agent.createConnection.bind(agent) as unknown as (options: Options, created: Created) => Duplex | undefined;
  const connect = (options: Options, created: Created): Duplex | undefined => {
    const host = options.host ?? 'localhost';
    const port = Number(options.port ?? defaultPort);
    const isProxy = host === hostOf(proxy) && port === Number(proxy.port);
    if (options.socketPath || isProxy || bypasses(noProxy, host, port)) return direct(options, created);
    openTunnel(proxy, host, port, (error, socket) => {
      if (socket === null) created(error);
      else if (kind === https.Agent)
        created(
          null,
          direct({ ...options, socket }, () => {}),
        );
      else created(null, socket);
    });
    return undefined;
  };
  agent.createConnection = connect;
  return agent;
}

function openTunnel(proxy: URL, host: string, port: number, done: (error: Error | null, socket: Socket | null) => void): void {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const credentials = Buffer.from(`${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`).toString('base64');
  const request = http.request({
    agent: false,
    host: hostOf(proxy),
    port: proxy.port,
    method: 'CONNECT',
    path: authority,
    headers: { Host: authority, 'Proxy-Authorization': `Basic ${credentials}` },
  });
  request.once('error', (error) => done(error, null));
  request.once('connect', (response, socket, head) => {
    if (head.length > 0) socket.unshift(head);
    if (response.statusCode === 200) done(null, socket);
    else {
      socket.destroy();
      done(refusal(authority, response), null);
    }
  });
  request.end();
}

/** Without the brackets that an IPv6 address has in a URL. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function refusal(authority: string, { statusCode, headers }: http.IncomingMessage): Error {
  const code = headers['x-sallyport-error'];
  const reason = typeof code === 'string' ? ` (${code})` : '';
  return Object.assign(new Error(`the proxy refused the connection to ${authority} with status ${statusCode}${reason}`), {
    code: 'ERR_PROXY_TUNNEL',
  });
}
