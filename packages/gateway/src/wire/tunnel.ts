import type { Socket } from 'node:net';
import { type Deadlined, deadlineIn, deadlines } from './deadlines.js';
import { type Destination, ReadPasser } from './read-buffers.js';
import type { UpstreamConnection } from './upstream-connection.js';

/** What became of a tunnel. Bytes are counted as they are taken from either side. */
export interface TunnelEnd {
  readonly clientBytes: number;
  readonly upstreamBytes: number;
  /** `idle` when nothing moved for too long, `client` and `upstream` when that side broke off, `closed` when both ended properly. */
  readonly reason: 'closed' | 'idle' | 'client' | 'upstream';
}

/**
 * Bytes both ways between a client and a detached upstream connection, unseen: after a 101, and for CONNECT where policy says `passthrough`.
 * Each direction has backpressure of its own and is closed on its own (half-close); when both are closed, or one breaks, `onEnd` is called once.
 */
export class Tunnel implements Deadlined {
  deadline: number;
  readonly #client: Socket;
  readonly #upstream: UpstreamConnection;
  readonly #upstreamSocket: Socket;
  readonly #toClient: Destination;
  readonly #passer = new ReadPasser();
  readonly #idle: number;
  readonly #onEnd: (end: TunnelEnd) => void;
  #clientBytes = 0;
  #upstreamBytes = 0;
  #openSides = 2;
  #ended = false;

  constructor(client: Socket, upstream: UpstreamConnection, idle: number, onEnd: (end: TunnelEnd) => void) {
    this.#client = client;
    this.#upstream = upstream;
    this.#idle = idle;
    this.#onEnd = onEnd;
    this.deadline = deadlineIn(idle);
    this.#toClient = {
      write: (data) => client.write(data),
      get writePending() {
        return client.writableLength > 0;
      },
    };
    this.#upstreamSocket = upstream.detach((bytes, length) => this.#fromUpstream(bytes, 0, length));
    deadlines.watch(this);
    client.on('data', (chunk: Buffer) => this.#fromClient(chunk));
    client.on('drain', () => {
      this.#passer.settle(this.#toClient);
      this.#upstreamSocket.resume();
    });
    client.on('end', () => this.#halfClosed(this.#upstreamSocket));
    client.on('error', () => this.#finish('client'));
    client.on('close', () => this.#finish('client'));
    this.#upstreamSocket.on('drain', () => client.resume());
    this.#upstreamSocket.on('end', () => this.#halfClosed(client));
    this.#upstreamSocket.on('error', () => this.#finish('upstream'));
    this.#upstreamSocket.on('close', () => this.#finish('upstream'));
  }

  /** Sets the bytes going, with those that were read from either side before. */
  start(fromClient: Buffer | null, fromUpstream: Buffer | null): void {
    if (fromUpstream !== null && fromUpstream.length > 0) this.#fromUpstream(fromUpstream, 0, fromUpstream.length);
    if (fromClient !== null && fromClient.length > 0) this.#fromClient(fromClient);
    // A client that closed its half while the connection was being opened says so only once.
    if (this.#client.readableEnded) this.#halfClosed(this.#upstreamSocket);
    else if (!this.#upstreamSocket.writableNeedDrain) this.#client.resume();
    if (!this.#client.writableNeedDrain) this.#upstreamSocket.resume();
  }

  /** Closes both sides at once. */
  destroy(): void {
    this.#finish('closed');
  }

  onDeadline(): void {
    this.#finish('idle');
  }

  #fromClient(chunk: Buffer): void {
    this.deadline = deadlineIn(this.#idle);
    this.#clientBytes += chunk.length;
    if (!this.#upstreamSocket.write(chunk)) this.#client.pause();
  }

  #fromUpstream(bytes: Buffer, start: number, end: number): boolean {
    this.deadline = deadlineIn(this.#idle);
    this.#upstreamBytes += end - start;
    return this.#passer.pass(this.#upstream, this.#toClient, bytes, start, end);
  }

  #halfClosed(other: Socket): void {
    other.end();
    this.#openSides--;
    if (this.#openSides === 0) this.#finish('closed');
  }

  #finish(reason: TunnelEnd['reason']): void {
    if (this.#ended) return;
    this.#ended = true;
    deadlines.forget(this);
    // `destroySoon` lets bytes that are already written leave; a side that broke off has no use for them.
    if (reason === 'closed') {
      this.#client.destroySoon();
      this.#upstreamSocket.destroySoon();
    } else {
      this.#client.destroy();
      this.#upstreamSocket.destroy();
    }
    this.#onEnd({ clientBytes: this.#clientBytes, upstreamBytes: this.#upstreamBytes, reason });
  }
}
