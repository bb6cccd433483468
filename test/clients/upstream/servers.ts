import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { leafMinter, openAuthority } from '@sallyport/gateway';
import { WebSocketServer } from 'ws';

/** What one server saw of a request. */
export interface Seen {
  readonly host: string;
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly headers: IncomingMessage['headers'];
}

/** Answers a request that was let in. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** What a server serves under one host name. Without the credential nobody gets anything but 401. */
export interface Host {
  readonly authorization: string | null;
  readonly answer: Answer;
}

/** A server that runs, on loopback. */
export interface Upstream {
  readonly port: number;
  /** Everything that arrived, refused requests as well. */
  readonly seen: Seen[];
  stop(): Promise<void>;
}

/** Serves `hosts` over plain HTTP. */
export function startHttp(hosts: ReadonlyMap<string, Host>): Promise<Upstream> {
  return start(createHttpServer(), hosts);
}

/** Serves `hosts` over TLS, with certificates of an authority of its own in `directory`. Answers the file that a client has to trust. */
export async function startHttps(directory: string, hosts: ReadonlyMap<string, Host>): Promise<Upstream & { readonly caFile: string }> {
  const authority = await openAuthority({ dir: directory, create: true });
  const minter = leafMinter(authority);
  const contexts = new Map<string, SecureContext>();
  for (const name of hosts.keys()) {
    contexts.set(name, createSecureContext({ cert: minter.mint(name, Date.now()).pem, key: minter.keyPem }));
  }
  const server = createHttpsServer({
    SNICallback: (name, done) => {
      const context = contexts.get(name);
      done(context === undefined ? new Error(`nothing is served as ${name}`) : null, context);
    },
  });
  return { ...(await start(server, hosts)), caFile: path.join(directory, 'ca.crt') };
}

async function start(server: Server, hosts: ReadonlyMap<string, Host>): Promise<Upstream> {
  const seen: Seen[] = [];
  const sockets = new WebSocketServer({ noServer: true });
  sockets.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })));

  /** The host that a request is for, when it may have it. */
  const admit = (request: IncomingMessage): Host | null => {
    const { method = '', url = '', httpVersion, headers } = request;
    const host = (headers.host ?? '').replace(/:.*$/, '');
    seen.push({ host, method, url, httpVersion, headers });
    const served = hosts.get(host);
    return served !== undefined && (served.authorization === null || headers.authorization === served.authorization) ? served : null;
  };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const host = admit(request);
    if (host !== null) host.answer(request, response);
    else refuse(request, response, 401);
  });
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    const host = admit(request);
    if (host === null) refuse(request, response, 401);
    else if (request.url?.startsWith('/too-large/') === true) refuse(request, response, 413);
    else {
      response.writeContinue();
      host.answer(request, response);
    }
  });
  server.on('upgrade', (request, socket, head) => {
    if (admit(request) !== null) sockets.handleUpgrade(request, socket, head, (webSocket) => sockets.emit('connection', webSocket, request));
    else socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    stop: async () => {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function refuse(request: IncomingMessage, response: ServerResponse, status: number): void {
  request.resume();
  response.writeHead(status, { 'content-length': 0, ...(status === 401 ? { 'www-authenticate': 'Basic realm="upstream"' } : {}) });
  response.end();
}
