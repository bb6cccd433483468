import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type SecureContextOptions, type TLSSocket, Server as TlsServer } from 'node:tls';
import { SallyportError } from '@sallyport/sdk';
import { LRUCache } from 'lru-cache';
import { type DoorName, Exchange } from '../exchange.js';
import type { Door } from '../pipeline/passage.js';
import type { Runtime } from '../pipeline/runtime.js';
import { type CertificateReader, certificateReader, type Intermediates } from '../tls/mutual/certificate-reader.js';
import type { ClientTrust } from '../tls/mutual/client-trust.js';
import type { ForwardedCertificates } from '../tls/mutual/forwarded-certificates.js';
import type { ListenerTls } from '../tls/mutual/listener-tls.js';
import { type RequestHandler, ServerConnection } from '../wire/server-connection.js';

/** What is spoken over TLS with clients (ALPN, RFC 7301). The second is all that some clients offer when they are asked for HTTP/1.0. */
export const SPOKEN = ['http/1.1', 'http/1.0'];

/** What a connection of a door can see of its listener: the configuration of the moment, and where to announce itself. */
export interface Served<D extends Door> {
  readonly current: { readonly runtime: Runtime; readonly door: D };
  /** Finds out with which certificate the requests of this connection are sent. */
  certificateReader(socket: Socket): CertificateReader;
  opened(connection: ServerConnection): void;
  closed(connection: ServerConnection): void;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Null for a listener without TLS. */
  readonly tls: ListenerTls | null;
  /** The balancers that tell of client certificates; null for a listener that clients reach by themselves. */
  readonly forwarded: ForwardedCertificates | null;
  readonly maxConnections: number;
}

/** What OpenSSL answers to a client without a certificate. */
const NO_CERTIFICATE = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';

/** How many authorities that clients sent along are remembered. */
const INTERMEDIATES = 100;

/** Timers run late when there is much to do; milliseconds. */
const HANDSHAKE_MARGIN = 60_000;

/** One open port of a door, with every connection that came through it, tunnelled ones included. */
export class Listener<D extends Door> implements Served<D> {
  current: { readonly runtime: Runtime; readonly door: D };
  readonly intermediates: Intermediates = new LRUCache({ max: INTERMEDIATES });
  readonly #connections = new Set<ServerConnection>();
  /** Every accepted socket, also while it is in a TLS handshake or has become a tunnel, when no connection stands for it. */
  readonly #sockets = new Set<Socket>();
  readonly #handlerFor: (served: Served<D>, socket: Socket) => RequestHandler;
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #name: DoorName;
  #tls: ListenerTls | null;
  #forwarded: ForwardedCertificates | null;
  /** When the authorities or the revocation lists were exchanged last, monotonic milliseconds. */
  #trustChanged = Number.NEGATIVE_INFINITY;
  #draining = false;

  constructor(
    name: DoorName,
    options: ListenerOptions,
    current: { runtime: Runtime; door: D },
    handlerFor: (served: Served<D>, socket: Socket) => RequestHandler,
  ) {
    this.current = current;
    this.#name = name;
    this.#options = options;
    this.#tls = options.tls;
    this.#forwarded = options.forwarded;
    this.#handlerFor = handlerFor;
    const { tls } = options;
    const sockets = { allowHalfOpen: true, noDelay: true, keepAlive: true };
    if (tls === null) this.#server = createTcpServer(sockets, (socket) => this.#accept(socket));
    else {
      const { tlsHandshake } = current.runtime.timeouts;
      // Whoever is verified here needs a session of this context: another has other ticket keys, so no revoked client comes back on an old ticket.
      const mutual = tls.trust === null ? {} : { requestCert: true, rejectUnauthorized: true };
      this.#server = createTlsServer(
        { ...contextOptions(tls), ...mutual, ...sockets, ALPNProtocols: SPOKEN, handshakeTimeout: tlsHandshake },
        (socket) => this.#accept(socket),
      );
      if (tls.trust !== null)
        this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => this.#recordRefusedClient(error, socket));
    }
    this.#server.maxConnections = options.maxConnections;
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /**
   * Takes over what can change while the port is open: the certificate, the authorities of the clients, the balancers, and how many connections there
   * may be. Nothing is closed; what is no longer acceptable is found out at the next request.
   */
  update({ tls, forwarded, maxConnections }: Pick<ListenerOptions, 'tls' | 'forwarded' | 'maxConnections'>): void {
    this.#server.maxConnections = maxConnections;
    this.#forwarded = forwarded;
    if (tls === null || !(this.#server instanceof TlsServer) || this.#tls === null || sameTls(tls, this.#tls)) return;
    this.#server.setSecureContext(contextOptions(tls));
    this.#tls = tls;
    this.#trustChanged = performance.now();
  }

  /** What clients are verified against; null when they need no certificate. */
  get trust(): ClientTrust | null {
    return this.#tls?.trust ?? null;
  }

  /** The balancers that tell of client certificates. */
  get forwarded(): ForwardedCertificates | null {
    return this.#forwarded;
  }

  certificateReader(socket: Socket): CertificateReader {
    // A handshake may have begun before the last change, under the authorities of before; it cannot have taken longer than this.
    const certain = performance.now() - this.#trustChanged > this.current.runtime.timeouts.tlsHandshake + HANDSHAKE_MARGIN;
    return certificateReader(socket, this, certain ? this.trust : null);
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

  /** A client that is turned away in the handshake gets no answer: whoever looks for the reason finds it in the log. */
  #recordRefusedClient(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    // Node closes the connection itself when the certificate is not good, and reports only that it was closed.
    const fault = socket.authorizationError as Error | string | null | undefined;
    const refused = Boolean(fault) || error.code === NO_CERTIFICATE;
    if (!refused && error.code?.startsWith('ERR_SSL_') !== true) return;
    const exchange = new Exchange(this.#name, socket.remoteAddress ?? '');
    exchange.outcome = 'failed';
    exchange.error = refused ? 'client_certificate_refused' : 'client_tls_failed';
    exchange.errorDetail = refused
      ? `the client certificate was refused (${fault ? String(fault) : 'the client sent none'})`
      : `the TLS handshake with the client failed (${error.code})`;
    this.current.runtime.recorder.record(exchange);
  }

  #accept(socket: Socket): void {
    const connection = new ServerConnection(socket, this.#handlerFor(this, socket), this.current.runtime.limits.head, this.current.runtime.timeouts);
    this.opened(connection);
    connection.start(null);
  }
}

/** TLS 1.3 with clients that have a certificate: before it, the certificate travels in the clear. */
function contextOptions({ cert, key, trust }: ListenerTls): SecureContextOptions {
  if (trust === null) return { cert, key, minVersion: 'TLSv1.2' };
  return { cert, key, ca: [...trust.ca], ...(trust.crl.length === 0 ? {} : { crl: [...trust.crl] }), minVersion: 'TLSv1.3' };
}

/** Exchanging a context ends the sessions that clients could have resumed: not for files that say the same as before. */
function sameTls(left: ListenerTls, right: ListenerTls): boolean {
  const text = ({ cert, key, trust }: ListenerTls): string => JSON.stringify([cert, key, trust?.ca, trust?.crl]);
  return text(left) === text(right);
}

/** The error for a port that cannot be opened. */
function bindError(error: NodeJS.ErrnoException, host: string, port: number): SallyportError {
  if (error.code === 'EADDRINUSE') return new SallyportError('address_in_use', { detail: `port ${port} on ${host} is already in use`, cause: error });
  return new SallyportError('bind_failed', {
    detail: `the listener on ${host}:${port} cannot be opened (${error.code ?? 'unknown reason'})`,
    cause: error,
  });
}
