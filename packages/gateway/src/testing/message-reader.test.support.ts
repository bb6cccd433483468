import type { Duplex } from 'node:stream';

/** How a connection ended: properly, by a reset or another error, or not yet. */
export type ConnectionEnd = 'open' | 'end' | 'reset';

/** One HTTP/1.1 message as it came over a socket, its lines byte for byte (Latin-1). */
export interface Message {
  readonly startLine: string;
  /** The field lines in their order, without line ends. */
  readonly lines: readonly string[];
  /** All values under a name, in any case. */
  all(name: string): string[];
  /** The first of them. */
  field(name: string): string | undefined;
}

/** A message with its body. `complete` is false when the connection ended before the body did. */
interface WholeMessage extends Message {
  readonly body: Buffer;
  readonly trailers: readonly string[];
  readonly complete: boolean;
}

/** A response, with the interim responses that came before it. */
export interface Response extends WholeMessage {
  readonly status: number;
  readonly reason: string;
  readonly interim: readonly Message[];
}

/** Reads HTTP/1.1 messages from a socket without any leniency of a library: what is on the wire is what a test sees. */
export class MessageReader {
  /** How the peer ended the connection, as far as it did. */
  ended: ConnectionEnd = 'open';
  readonly #chunks: Buffer[] = [];
  readonly #stream: Duplex;
  #waiting: (() => void) | null = null;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#wake();
    });
    stream.on('end', () => this.#end('end'));
    stream.on('error', () => this.#end('reset'));
    stream.on('close', () => this.#end('reset'));
  }

  /** Gives up reading: from now on somebody else listens. Answers what was read and not used. */
  detach(): Buffer {
    for (const event of ['data', 'end', 'error', 'close']) this.#stream.removeAllListeners(event);
    return this.#take(this.#available());
  }

  /** Resolves once the peer has ended the connection, one way or the other. */
  async end(): Promise<ConnectionEnd> {
    while (this.ended === 'open') await this.#more();
    return this.ended;
  }

  /** Everything until the end of the connection. */
  async rest(): Promise<Buffer> {
    await this.end();
    return this.#take(this.#available());
  }

  /** Exactly so many bytes; fewer when the connection ends before. */
  async bytes(count: number): Promise<Buffer> {
    while (this.#available() < count && this.ended === 'open') await this.#more();
    return this.#take(Math.min(count, this.#available()));
  }

  /** Everything up to and including the marker; null when the connection ends before. */
  async until(marker: string): Promise<Buffer | null> {
    for (;;) {
      const all = this.#joined();
      const at = all.indexOf(marker, 0, 'latin1');
      if (at >= 0) return this.#take(at + marker.length);
      if (this.ended !== 'open') return null;
      await this.#more();
    }
  }

  /** The next message head; null when the connection ends before there is one. */
  async head(): Promise<Message | null> {
    const bytes = await this.until('\r\n\r\n');
    if (bytes === null) return null;
    const [startLine = '', ...lines] = bytes.toString('latin1').slice(0, -4).split('\r\n');
    const all = (name: string): string[] =>
      lines
        .filter((line) => line.slice(0, line.indexOf(':')).toLowerCase() === name.toLowerCase())
        .map((line) => line.slice(line.indexOf(':') + 1).trim());
    return { startLine, lines, all, field: (name) => all(name)[0] };
  }

  /** The body that belongs to a head. `untilClose`: without a length it lasts until the connection ends. */
  async body(head: Message, untilClose: boolean): Promise<{ body: Buffer; trailers: string[]; complete: boolean }> {
    if (head.field('transfer-encoding') === 'chunked') return this.#chunkedBody();
    const length = head.field('content-length');
    if (length !== undefined) {
      const body = await this.bytes(Number(length));
      return { body, trailers: [], complete: body.length === Number(length) };
    }
    if (!untilClose) return { body: Buffer.alloc(0), trailers: [], complete: true };
    const body = await this.rest();
    return { body, trailers: [], complete: this.ended === 'end' };
  }

  /** The response to a request with that method. Throws when the connection ends before there is one. */
  async response(method = 'GET'): Promise<Response> {
    const interim: Message[] = [];
    for (;;) {
      const head = await this.head();
      if (head === null) throw new Error(`the connection ended (${this.ended}) before a response: ${this.#joined().toString('latin1')}`);
      const [, code = '', ...words] = head.startLine.split(' ');
      const status = Number(code);
      if (status >= 200 || status === 101) {
        const bodiless = method === 'HEAD' || status === 101 || status === 204 || status === 304 || (method === 'CONNECT' && status === 200);
        const rest = bodiless ? { body: Buffer.alloc(0), trailers: [], complete: true } : await this.body(head, true);
        return { ...head, ...rest, status, reason: words.join(' '), interim };
      }
      interim.push(head);
    }
  }

  async #chunkedBody(): Promise<{ body: Buffer; trailers: string[]; complete: boolean }> {
    const parts: Buffer[] = [];
    const cut = { body: Buffer.alloc(0), trailers: [], complete: false };
    for (;;) {
      const line = await this.until('\r\n');
      if (line === null) return { ...cut, body: Buffer.concat(parts) };
      const size = Number.parseInt(line.toString('latin1'), 16);
      if (size === 0) break;
      const chunk = await this.bytes(size + 2);
      parts.push(chunk.subarray(0, size));
      if (chunk.length < size + 2) return { ...cut, body: Buffer.concat(parts) };
    }
    const trailers: string[] = [];
    for (;;) {
      const line = await this.until('\r\n');
      if (line === null) return { ...cut, body: Buffer.concat(parts) };
      if (line.length === 2) return { body: Buffer.concat(parts), trailers, complete: true };
      trailers.push(line.toString('latin1').slice(0, -2));
    }
  }

  #available(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  #joined(): Buffer {
    if (this.#chunks.length > 1) this.#chunks.splice(0, this.#chunks.length, Buffer.concat(this.#chunks));
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  #take(count: number): Buffer {
    const all = this.#joined();
    this.#chunks.length = 0;
    if (count < all.length) this.#chunks.push(all.subarray(count));
    return all.subarray(0, count);
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.();
  }

  #end(how: ConnectionEnd): void {
    if (this.ended === 'open') this.ended = how;
    this.#wake();
  }
}
