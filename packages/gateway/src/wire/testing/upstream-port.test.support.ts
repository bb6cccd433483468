import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TlsOptions } from 'node:tls';
import { poisonReadBuffers } from '../read-buffers.js';
import { UpstreamConnection, type UpstreamTimeouts } from '../upstream-connection.js';
import { type RawPeer, RawServer } from './raw-peer.test.support.js';

/** An open upstream connection and the peer at its other end. */
export interface UpstreamPair {
  readonly connection: UpstreamConnection;
  readonly socket: Socket;
  readonly peer: RawPeer;
}

export const noTimeouts: UpstreamTimeouts = { responseHead: 0, idle: 0 };

/** A scripted upstream and the means to connect to it as the dialer does. Read buffers are poisoned. */
export class UpstreamPort {
  readonly #server: RawServer;
  readonly #tls: ConnectionOptions | null;
  readonly #sockets: Socket[] = [];

  private constructor(server: RawServer, tls: ConnectionOptions | null) {
    this.#server = server;
    this.#tls = tls;
  }

  static async open(tls: { readonly server: TlsOptions; readonly client: ConnectionOptions } | null = null): Promise<UpstreamPort> {
    poisonReadBuffers(true);
    return new UpstreamPort(await RawServer.listen(tls?.server ?? null), tls?.client ?? null);
  }

  async connect(timeouts: UpstreamTimeouts = noTimeouts, limits = { size: 4096, count: 20 }): Promise<UpstreamPair> {
    const connection = new UpstreamConnection('127.0.0.1', limits, timeouts);
    const address = { host: '127.0.0.1', port: this.#server.port, allowHalfOpen: true, onread: connection.onread };
    const socket = this.#tls === null ? connectTcp({ ...address, noDelay: true }) : connectTls({ ...address, ...this.#tls });
    this.#sockets.push(socket);
    await once(socket, this.#tls === null ? 'connect' : 'secureConnect');
    connection.open(socket);
    return { connection, socket, peer: await this.#server.accept() };
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.#server.close();
  }
}
