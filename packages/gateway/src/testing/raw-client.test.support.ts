import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { MessageReader, type Response } from './message-reader.test.support.js';

/** A client that sends exactly the bytes it is told to. */
export class RawClient {
  readonly socket: Socket;
  readonly reader: MessageReader;

  constructor(socket: Socket) {
    this.socket = socket;
    this.reader = new MessageReader(socket);
  }

  write(bytes: string | Uint8Array): this {
    if (typeof bytes === 'string') this.socket.write(bytes, 'latin1');
    else this.socket.write(bytes);
    return this;
  }

  /** Sends a request, `lines` without line ends, and answers the response. */
  async request(startLine: string, lines: readonly string[] = [], body: string | Uint8Array = ''): Promise<Response> {
    this.write(`${[startLine, ...lines].join('\r\n')}\r\n\r\n`);
    if (body.length > 0) this.write(body);
    return this.reader.response(startLine.slice(0, startLine.indexOf(' ')));
  }

  /** Closes the connection without an end, as a process that is killed does. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }
}

const open = new Set<Socket>();

/** Closes every client that a test left open. */
export function closeClients(): void {
  for (const socket of open) socket.destroy();
  open.clear();
}

/** A connection to a port of this machine. */
export async function rawClient(port: number): Promise<RawClient> {
  const socket = connectTcp({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
  open.add(socket);
  await once(socket, 'connect');
  return new RawClient(socket);
}

/** The value of a Proxy-Authorization field that presents a token. */
export function basicAuthorization(token: string, user = 'any'): string {
  return `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`;
}

/** Opens a CONNECT tunnel; throws when it is refused. */
export async function connectThrough(port: number, authority: string, lines: readonly string[] = []): Promise<RawClient> {
  const client = await rawClient(port);
  const response = await client.request(`CONNECT ${authority} HTTP/1.1`, [`Host: ${authority}`, ...lines]);
  if (response.status !== 200) throw new Error(`CONNECT was answered ${response.status}: ${response.body.toString()}`);
  return client;
}

/** Speaks TLS inside a tunnel. */
export async function secure(tunnel: RawClient, options: ConnectionOptions): Promise<RawClient & { readonly socket: TLSSocket }> {
  tunnel.reader.detach();
  const socket = connectTls({ ALPNProtocols: ['http/1.1'], ...options, socket: tunnel.socket });
  open.add(socket);
  await once(socket, 'secureConnect');
  return new RawClient(socket) as RawClient & { readonly socket: TLSSocket };
}
