import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { type Message, MessageReader } from './message-reader.test.support.js';

/** One request as the upstream got it. */
export interface UpstreamRequest extends Message {
  readonly method: string;
  readonly target: string;
  /** Counts the connections of the upstream from 0: requests with the same number came over the same one. */
  readonly connection: number;
  /** Reads the body to its end. */
  body(): Promise<{ body: Buffer; trailers: readonly string[]; complete: boolean }>;
  readonly reader: MessageReader;
  /** Breaks the TCP connection below, TLS or not, as a machine that goes down does. */
  reset(): void;
}

/** Answers one request by writing bytes. Reads of the next request wait until it is done. */
export type Script = (request: UpstreamRequest, socket: Socket) => void | Promise<void>;

/** An upstream that sends exactly the bytes it is told to. */
export interface ScriptedUpstream {
  readonly port: number;
  /** Every request whose head came, in order. */
  readonly requests: UpstreamRequest[];
  /** Every connection that was accepted. */
  readonly sockets: Socket[];
  script: Script;
  stop(): Promise<void>;
}

const running = new Set<ScriptedUpstream>();

/** Stops every upstream that is still running. */
export async function stopUpstreams(): Promise<void> {
  await Promise.all([...running].map((upstream) => upstream.stop()));
}

/** Answers 200 with the request as JSON: method, target, field lines and the length of the body. */
export const echo: Script = async (request, socket) => {
  const { body, trailers } = await request.body();
  const told = {
    method: request.method,
    target: request.target,
    lines: request.lines,
    length: body.length,
    trailers,
    connection: request.connection,
  };
  socket.write(reply(200, JSON.stringify(told), ['Content-Type: application/json']));
};

/** What `echo` told. */
export interface Echoed {
  readonly method: string;
  readonly target: string;
  readonly lines: readonly string[];
  readonly length: number;
  readonly trailers: readonly string[];
  readonly connection: number;
}

/** A whole response with a Content-Length. */
export function reply(status: number, body = '', lines: readonly string[] = []): string {
  return `${[`HTTP/1.1 ${status} Scripted`, ...lines, `Content-Length: ${Buffer.byteLength(body)}`].join('\r\n')}\r\n\r\n${body}`;
}

/** Starts an upstream on a port of its own; with `tls` it speaks TLS. */
export async function startUpstream(script: Script, tls?: TlsOptions): Promise<ScriptedUpstream> {
  const sockets: Socket[] = [];
  const requests: UpstreamRequest[] = [];
  const accept = (socket: Socket): void => {
    const connection = sockets.push(socket) - 1;
    socket.setNoDelay(true);
    void serve(socket, connection);
  };
  const serve = async (socket: Socket, connection: number): Promise<void> => {
    const reader = new MessageReader(socket);
    for (;;) {
      const head = await reader.head();
      if (head === null) break;
      const [method = '', target = ''] = head.startLine.split(' ');
      let read: ReturnType<UpstreamRequest['body']> | null = null;
      const reset = (): void => {
        for (const transport of raw) if (transport.remotePort === socket.remotePort) transport.resetAndDestroy();
      };
      const request: UpstreamRequest = { ...head, method, target, connection, reader, reset, body: () => (read ??= reader.body(head, false)) };
      requests.push(request);
      await upstream.script(request, socket);
      if (socket.destroyed) break;
      await request.body();
    }
    socket.end();
  };
  const options = { allowHalfOpen: true };
  const server: Server = tls === undefined ? createTcpServer(options, accept) : createTlsServer({ ...tls, ...options }, accept);
  server.on('tlsClientError', () => {});
  const raw = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    raw.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => raw.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const upstream: ScriptedUpstream = {
    port: (server.address() as AddressInfo).port,
    requests,
    sockets,
    script,
    async stop() {
      running.delete(upstream);
      for (const socket of raw) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
  running.add(upstream);
  return upstream;
}
