import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, Server as TlsServer } from 'node:tls';
import { SallyportError } from '@sallyport/sdk';
import type { Door } from '../pipeline/passage.js';
import type { Runtime } from '../pipeline/runtime.js';
import { type RequestHandler, ServerConnection } from '../wire/server-connection.js';

/** What is spoken over TLS with clients (ALPN, RFC 7301). The second is all that some clients offer when they are asked for HTTP/1.0. */
export const SPOKEN = ['http/1.1', 'http/1.0'];

/** What a connection of a door can see of its listener: the configuration of the moment, and where to announce itself. */
export interface Served<D extends Door> {
  readonly current: { readonly runtime: Runtime; readonly door: D };
  opened(connection: ServerConnection): void;
  closed(connection: ServerConnection): void;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** PEM; null for a listener without TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly maxConnections: number;
}

const TLS_MIN = 'TLSv1.2';

/** One open port of a door, with every connection that came through it, tunnelled ones included. */
export class Listener<D extends Door> implements Served<D> {
  current: { readonly runtime: Runtime; readonly door: D };
  readonly #connections = new Set<ServerConnection>();
  /** Every accepted socket, also while it is in a TLS handshake or has become a tunnel, when no connection stands for it. */
  readonly #sockets = new Set<Socket>();
  readonly #handlerFor: (served: Served<D>, socket: Socket) => RequestHandler;
  readonly #server: Server;
  readonly #options: ListenerOptions;
  #draining = false;

  constructor(options: ListenerOptions, current: { runtime: Runtime; door: D }, handlerFor: (served: Served<D>, socket: Socket) => RequestHandler) {
    this.current = current;
    this.#options = options;
    this.#handlerFor = handlerFor;
    const { tls } = options;
    const sockets = { allowHalfOpen: true, noDelay: true, keepAlive: true };
    if (tls === null) this.#server = createTcpServer(sockets, (socket) => this.#accept(socket));
    else {
      const { tlsHandshake } = current.runtime.timeouts;
      this.#server = createTlsServer({ ...tls, ...sockets, minVersion: TLS_MIN, ALPNProtocols: SPOKEN, handshakeTimeout: tlsHandshake }, (socket) =>
        this.#accept(socket),
      );
    }
    this.#server.maxConnections = options.maxConnections;
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Takes over what can change while the port is open: the certificate and how many connections there may be. */
  update({ tls, maxConnections }: Pick<ListenerOptions, 'tls' | 'maxConnections'>): void {
    this.#server.maxConnections = maxConnections;
    if (tls !== null && this.#server instanceof TlsServer) this.#server.setSecureContext({ ...tls, minVersion: TLS_MIN });
  }

  /** Connections that are open, for the metrics. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Connections with a request under way. */
  get busy(): number {
    let busy = 0;
    for (const connection of this.#connections) if (!connection.idle) busy++;
    return busy;
  }

  /** Opens the port; resolves with its number. Errors: `address_in_use`, `bind_failed`. */
  listen(): Promise<number> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(bindError(error, host, port)));
      this.#server.listen({ host, port, backlog: 1024 }, () => {
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  opened(connection: ServerConnection): void {
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
  }

  closed(connection: ServerConnection): void {
    this.#connections.delete(connection);
  }

  /** Stops accepting. Idle connections close now, busy ones after their response. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#server.close();
    for (const connection of this.#connections) connection.drain();
  }

  /** Closes what is still open, and resolves once all of it has ended. */
  async destroy(): Promise<void> {
    this.drain();
    for (const connection of this.#connections) connection.destroy();
    const closing = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve).destroy()));
    await Promise.all(closing);
    // A TLS connection closes one turn after the socket below it.
    while (this.#connections.size > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  #accept(socket: Socket): void {
    const connection = new ServerConnection(socket, this.#handlerFor(this, socket), this.current.runtime.limits.head, this.current.runtime.timeouts);
    this.opened(connection);
    connection.start(null);
  }
}

/** The error for a port that cannot be opened. */
function bindError(error: NodeJS.ErrnoException, host: string, port: number): SallyportError {
  if (error.code === 'EADDRINUSE') return new SallyportError('address_in_use', { detail: `port ${port} on ${host} is already in use`, cause: error });
  return new SallyportError('bind_failed', {
    detail: `the listener on ${host}:${port} cannot be opened (${error.code ?? 'unknown reason'})`,
    cause: error,
  });
}
