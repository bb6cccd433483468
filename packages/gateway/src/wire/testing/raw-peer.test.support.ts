import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, createServer as createTlsServer, type TlsOptions } from 'node:tls';

/** How the connection ended from where the peer stands: the other side closed its half properly, or broke it off; null while it is open. */
export type PeerEnd = 'end' | 'reset' | null;

/**
 * One raw connection under the control of a test, TCP or TLS: sends exactly these bytes in exactly these pieces, and waits for bytes rather than
 * for time. Nothing is parsed and nothing is repaired. The half that the peer sends on stays open until `end`, `reset` or `destroy`.
 */
export class RawPeer {
  readonly socket: Socket;
  /** How the other side ended; bytes that came before are in `received`. */
  ended: PeerEnd = null;
  /** Resolves when both halves are closed, or the connection broke. */
  readonly closed: Promise<void>;
  #pieces: Buffer[] = [];
  #length = 0;
  #waiting: Array<() => void> = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (piece: Buffer) => {
      this.#pieces.push(piece);
      this.#length += piece.length;
      this.#wake();
    });
    socket.on('end', () => {
      // A reset that comes close behind the last bytes is reported as an end; a socket that was reset has no peer any more.
      // Nor has one that is closed on both sides.
      this.ended ??= socket.remoteAddress === undefined && !socket.writableEnded ? 'reset' : 'end';
      this.#wake();
    });
    socket.on('error', () => {
      this.ended ??= 'reset';
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.ended ??= 'reset';
        this.#wake();
        resolve();
      });
    });
  }

  /** Connects to a port of the loopback interface; with `tls` options the handshake is finished when this resolves. */
  static connect(port: number, tls: ConnectionOptions | null = null): Promise<RawPeer> {
    return new Promise((resolve, reject) => {
      const address = { host: '127.0.0.1', port };
      const socket = tls === null ? connectTcp({ ...address, allowHalfOpen: true }) : connectTls({ ...address, ...tls, ...HALF_OPEN });
      const peer = new RawPeer(socket);
      socket.once('error', reject);
      socket.once(tls === null ? 'connect' : 'secureConnect', () => resolve(peer));
    });
  }

  /** Everything that came and was not taken, as Latin-1 text: one character a byte. */
  get received(): string {
    return this.bytes.toString('latin1');
  }

  /** Everything that came and was not taken. */
  get bytes(): Buffer {
    const all = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
    this.#pieces = all.length > 0 ? [all] : [];
    return all;
  }

  /** Sends bytes (text is Latin-1); with `splits` in pieces that end there, each in a segment and a turn of its own. Resolves when they left. */
  async send(data: string | Uint8Array, splits: readonly number[] = []): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    let from = 0;
    for (const to of [...splits, bytes.length]) {
      if (to <= from) continue;
      await this.#write(bytes.subarray(from, to));
      from = to;
    }
  }

  /** Resolves with all that came, as Latin-1 text, once it holds `text`; rejects when the connection ends without it. Nothing is taken. */
  async until(text: string): Promise<string> {
    await this.#when(
      () => this.received.includes(text),
      () => `waiting for ${JSON.stringify(text)}`,
    );
    return this.received;
  }

  /** Takes the bytes up to and including the first `text`, as Latin-1 text; waits for them. */
  async take(text: string): Promise<string> {
    const all = await this.until(text);
    return this.#takeBytes(all.indexOf(text) + text.length).toString('latin1');
  }

  /** Takes exactly so many bytes; waits for them. */
  async takeBytes(count: number): Promise<Buffer> {
    await this.#when(
      () => this.#length >= count,
      () => `waiting for ${count} bytes`,
    );
    return this.#takeBytes(count);
  }

  /** Takes one message whose head has a Content-Length or no body, as Latin-1 text; waits for it. */
  async takeMessage(): Promise<string> {
    const head = await this.take('\r\n\r\n');
    const length = Number(/^content-length:\s*(\d+)/im.exec(head)?.[1] ?? 0);
    return head + (await this.takeBytes(length)).toString('latin1');
  }

  /** Resolves with all that came and was not taken, once the other side has ended or broken off. */
  async untilEnd(): Promise<string> {
    while (this.ended === null) await this.#change();
    return this.received;
  }

  /** Closes the half that this peer sends on. */
  end(): void {
    this.socket.end();
  }

  /** Breaks the connection off with a TCP reset. Not for TLS. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #write(piece: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      // A write that fails is seen in `ended`; the next turn lets the other side read this piece apart from the next.
      this.socket.write(piece, () => setImmediate(resolve));
    });
  }

  #takeBytes(count: number): Buffer {
    const all = this.bytes;
    this.#pieces = all.length > count ? [all.subarray(count)] : [];
    this.#length = all.length - count;
    return all.subarray(0, count);
  }

  async #when(condition: () => boolean, doing: () => string): Promise<void> {
    while (!condition()) {
      if (this.ended !== null)
        throw new Error(`${doing()}: the connection ended (${this.ended}) after ${JSON.stringify(this.received.slice(0, 500))}`);
      await this.#change();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

// Documented for `tls.connect`, but missing in its types.
const HALF_OPEN = { allowHalfOpen: true };

/** A port of the loopback interface that hands out its connections as peers: the upstream of a test. */
export class RawServer {
  readonly port: number;
  readonly #server: Server;
  readonly #accepted: RawPeer[] = [];
  readonly #all: RawPeer[] = [];
  #waiting: Array<(peer: RawPeer) => void> = [];

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('setSecureContext' in server ? 'secureConnection' : 'connection', (socket: Socket) => {
      const peer = new RawPeer(socket);
      this.#all.push(peer);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#accepted.push(peer);
      else waiting(peer);
    });
  }

  /** Opens a free port; with `tls` options it speaks TLS. */
  static listen(tls: TlsOptions | null = null): Promise<RawServer> {
    const options = { allowHalfOpen: true, noDelay: true };
    const server = tls === null ? createTcpServer(options) : createTlsServer({ ...tls, ...options });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve(new RawServer(server)));
    });
  }

  /** Connections that were accepted so far. */
  get connections(): number {
    return this.#all.length;
  }

  /** The next connection, in the order of their arrival; waits for it. */
  accept(): Promise<RawPeer> {
    const ready = this.#accepted.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Closes the port and every connection. */
  async close(): Promise<void> {
    for (const peer of this.#all) peer.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
