import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type ConnectionOptions, createServer as createTlsServer, type TlsOptions } from 'node:tls';
import type { ErrorCode, SallyportError } from '@sallyport/sdk';
import { poisonReadBuffers } from '../read-buffers.js';
import type { RequestSink } from '../request-sink.js';
import { type RequestHandler, ServerConnection, type ServerTimeouts } from '../server-connection.js';
import { RawPeer } from './raw-peer.test.support.js';

/** How much of a body is kept, bytes; of larger ones only the size is known. */
const KEPT = 1_000_000;

/** One request as a test sees it: its body, what became of it, and the means to answer. Throws when it is told what cannot be. */
export class Served implements RequestSink {
  readonly connection: ServerConnection;
  readonly method: string;
  readonly target: string;
  body = '';
  size = 0;
  ended = false;
  /** Takes no more of the body while false. */
  flowing = true;
  fault: ErrorCode | null = null;
  gone: ErrorCode | null = null;
  drains = 0;
  onProgress: () => void = () => {};

  constructor(connection: ServerConnection) {
    this.connection = connection;
    this.method = connection.head.method;
    this.target = connection.head.target;
  }

  onRequestBody(bytes: Buffer, start: number, end: number): boolean {
    if (this.ended || this.fault !== null || this.gone !== null) throw new Error('body after the end');
    this.size += end - start;
    if (this.size <= KEPT) this.body += bytes.toString('latin1', start, end);
    this.onProgress();
    return this.flowing;
  }

  onRequestEnd(): void {
    if (this.ended) throw new Error('ended twice');
    this.ended = true;
    this.onProgress();
  }

  onRequestFault(error: SallyportError): void {
    this.fault = error.code;
    this.onProgress();
  }

  onClientGone(code: ErrorCode): void {
    if (this.gone !== null) throw new Error('gone twice');
    this.gone = code;
    this.onProgress();
  }

  onClientDrain(): void {
    this.drains++;
    this.onProgress();
  }

  /** Answers with a body that has a length, and finishes. */
  answer(body: string | Uint8Array = `${this.method} ${this.target}`): void {
    const close = this.connection.persistent ? '' : 'Connection: close\r\n';
    this.connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${close}\r\n`);
    this.connection.write(body);
    this.connection.finish();
  }
}

/** Answers a request whose body is done at once. */
export function answerAtOnce(served: Served): void {
  served.connection.attach(served);
  if (served.ended) served.answer();
}

/** Answers every request when its body has come, with its start line and its body. */
export function answerWhole(served: Served): void {
  const progress = served.onProgress;
  served.onProgress = () => {
    progress();
    if (!served.ended) return;
    served.onProgress = progress;
    served.answer(`${served.method} ${served.target} ${served.body}`);
  };
  served.connection.attach(served);
}

/** Opens the body and leaves the answer to the test. */
export function attachOnly(served: Served): void {
  served.connection.attach(served);
}

export interface PortOptions {
  readonly timeouts?: ServerTimeouts;
  readonly limits?: { readonly size: number; readonly count: number };
  /** Options of the server and of its clients, for TLS. */
  readonly tls?: { readonly server: TlsOptions; readonly client: ConnectionOptions };
}

/** A port of the loopback interface that serves with `ServerConnection` and hands each request to a test. Read buffers are poisoned. */
export class ServerPort implements RequestHandler {
  readonly connections: ServerConnection[] = [];
  readonly requests: Served[] = [];
  readonly refused: string[] = [];
  closed = 0;
  onServed: (served: Served) => void;
  readonly #server: Server;
  readonly #options: PortOptions;
  readonly #peers: RawPeer[] = [];
  readonly #waiting: Array<() => void> = [];

  private constructor(onServed: (served: Served) => void, options: PortOptions) {
    this.onServed = onServed;
    this.#options = options;
    const sockets = { allowHalfOpen: true, noDelay: true };
    const accept = (socket: Socket): void => {
      const connection = new ServerConnection(socket, this, options.limits ?? { size: 4096, count: 20 }, options.timeouts ?? NO_TIMEOUTS);
      this.connections.push(connection);
      connection.start(null);
      this.#wake();
    };
    this.#server = options.tls === undefined ? createServer(sockets, accept) : createTlsServer({ ...options.tls.server, ...sockets }, accept);
  }

  static async open(onServed: (served: Served) => void, options: PortOptions = {}): Promise<ServerPort> {
    poisonReadBuffers(true);
    const port = new ServerPort(onServed, options);
    port.#server.listen(0, '127.0.0.1');
    await once(port.#server, 'listening');
    return port;
  }

  /** The connection that was accepted last. */
  get latest(): ServerConnection {
    return this.connections.at(-1) as ServerConnection;
  }

  get number(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A new client; resolves when its connection was accepted here too. */
  async connect(): Promise<RawPeer> {
    const count = this.connections.length;
    const peer = await RawPeer.connect(this.number, this.#options.tls?.client ?? null);
    this.#peers.push(peer);
    await this.when(() => this.connections.length > count);
    return peer;
  }

  /** Resolves as soon as the condition holds; looked at whenever anything happens to a request or a connection. */
  async when(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Closes the port with everything on it. */
  async close(): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    for (const { socket } of this.connections) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  onRequest(connection: ServerConnection): void {
    const served = new Served(connection);
    served.onProgress = () => this.#wake();
    this.requests.push(served);
    this.onServed(served);
    this.#wake();
  }

  onRefusedHead(connection: ServerConnection, error: SallyportError): void {
    this.refused.push(error.code);
    connection.write(`HTTP/1.1 ${error.status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    connection.finish();
    this.#wake();
  }

  onClosed(): void {
    this.closed++;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

const NO_TIMEOUTS: ServerTimeouts = { head: 0, idle: 0, keepAlive: 0 };

/** Turns of the event loop that are enough for what is under way on the loopback interface to arrive, when the point is that nothing does. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** More than the kernel takes for a client that does not read: part of it stays with us. */
export const big = Buffer.alloc(48_000_000, 'sallyport');

/** Requests as bytes. */
export const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nHost: h\r\n${lines}\r\n`;
export const post = (path: string, body: string): string => `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
export const putChunked = (path: string, body: string): string => `PUT ${path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
