import type { Socket } from 'node:net';
import { SallyportError } from '@sallyport/sdk';
import { BodyKind, BodyReader, responseBodyKind } from './body-reader.js';
import { type Deadlined, deadlineIn, deadlines } from './deadlines.js';
import { Head, type HeadLimits } from './head.js';
import { HeadGatherer } from './head-gatherer.js';
import { ReadMemory } from './read-memory.js';
import type { ResponseSink } from './response-sink.js';
import { Scan, type ScanResult } from './scan.js';

/** Milliseconds; 0 means no limit. */
export interface UpstreamTimeouts {
  /** From the request's last byte to the response head. */
  readonly responseHead: number;
  /** Between two reads of a response body, and between two writes of a request body. */
  readonly idle: number;
}

const State = { idle: 0, head: 1, body: 2, detached: 3, closed: 4 } as const;
type State = (typeof State)[keyof typeof State];

/**
 * The client side of one HTTP/1.1 connection: one request at a time, never pipelined. Reads go into a buffer of its own (`onread`), which is reused
 * for the next read: a sink that keeps bytes beyond its callback copies them, or asks `lend` to leave their memory alone.
 */
export class UpstreamConnection implements Deadlined {
  readonly head: Head;
  readonly body = new BodyReader();
  bodyKind: BodyKind = BodyKind.none;
  deadline = Number.POSITIVE_INFINITY;
  /** The address that was judged and dialed. */
  readonly address: string;
  /** Whether an exchange before this one used the connection. */
  reused = false;
  /** Hand out the content of chunks instead of the chunks: for a client that does not know chunked coding. Set after `begin`. */
  contentOnly = false;
  /** Told when an idle connection can no longer be used. */
  onIdleGone: (connection: UpstreamConnection) => void = ignore;

  readonly #timeouts: UpstreamTimeouts;
  readonly #gatherer: HeadGatherer;
  readonly #memory = new ReadMemory();
  #socket: Socket | null = null;
  #state: State = State.idle;
  #sink: ResponseSink | null = null;
  #method = '';
  #requestSent = false;
  #awaitsDrain = false;
  /** Reading was stopped by an answer of false. */
  #stopped = false;
  #excess = false;
  /** Bytes of the interim responses to this request: no more than one head may have. */
  #interimSize = 0;
  #onDetachedRead: (bytes: Buffer, length: number) => boolean = () => true;

  constructor(address: string, limits: HeadLimits, timeouts: UpstreamTimeouts) {
    this.address = address;
    this.#timeouts = timeouts;
    this.head = new Head(limits);
    this.#gatherer = new HeadGatherer(this.head);
  }

  /** The options under which the socket of this connection has to be made: it reads straight into our buffer. */
  readonly onread = {
    buffer: (): Buffer => this.#memory.next(this.#state === State.body || this.#state === State.detached),
    callback: (length: number, buffer: Uint8Array): boolean => this.#onRead(buffer as Buffer, length),
  };

  /** The socket is connected, and for TLS verified. */
  open(socket: Socket): void {
    this.#socket = socket;
    socket.on('end', this.#onEnd);
    socket.on('drain', this.#onDrain);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    deadlines.watch(this);
  }

  /** Opens an exchange. The sink hears of the response; `write` sends the request. */
  begin(sink: ResponseSink, method: string): void {
    this.#sink = sink;
    this.#method = method;
    this.#state = State.head;
    this.#requestSent = false;
    this.#awaitsDrain = false;
    this.#excess = false;
    this.#interimSize = 0;
    this.contentOnly = false;
    this.deadline = Number.POSITIVE_INFINITY;
  }

  /** Sends bytes of the request. False: wait for `onUpstreamDrain`. */
  write(data: string | Uint8Array): boolean {
    const socket = this.#socket as Socket;
    const flowing = typeof data === 'string' ? socket.write(data, 'latin1') : socket.write(data);
    if (!flowing) {
      this.#awaitsDrain = true;
      if (this.deadline === Number.POSITIVE_INFINITY) this.deadline = deadlineIn(this.#timeouts.idle);
    }
    return flowing;
  }

  /** Sends two pieces as one. */
  writeBoth(first: string, second: Uint8Array): boolean {
    const socket = this.#socket as Socket;
    socket.cork();
    socket.write(first, 'latin1');
    const flowing = this.write(second);
    socket.uncork();
    return flowing;
  }

  /** The request has been written to its end: from now on the upstream owes the response. */
  requestSent(): void {
    this.#requestSent = true;
    if (this.#state === State.head) this.deadline = deadlineIn(this.#timeouts.responseHead);
  }

  /** Stops reading until `resume`. For a sink that decides later than in its callback. */
  pause(): void {
    this.#socket?.pause();
    this.deadline = Number.POSITIVE_INFINITY;
  }

  /** The sink takes body bytes again. */
  resume(): void {
    if (this.#state === State.body) this.deadline = deadlineIn(this.#timeouts.idle);
    this.#stopped = false;
    this.#socket?.resume();
  }

  /** As `ReadMemory.lend`. */
  lend(): Buffer | null {
    return this.#memory.lend();
  }

  /** Whether another request may follow: the response was read to its end and both sides agreed to keep the connection. */
  get reusable(): boolean {
    return this.head.keepsConnection && this.#state === State.idle && this.#requestSent && !this.#excess && this.bodyKind !== BodyKind.untilClose;
  }

  /** Takes the connection out of use. */
  destroy(): void {
    this.#sink = null;
    this.#socket?.destroy();
  }

  /** Hands the socket over for bytes both ways. What it reads from now on goes to `onRead`; false pauses. */
  detach(onRead: (bytes: Buffer, length: number) => boolean): Socket {
    const socket = this.#socket as Socket;
    this.#leave(State.detached);
    this.#onDetachedRead = onRead;
    socket.off('end', this.#onEnd);
    socket.off('drain', this.#onDrain);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    return socket;
  }

  onDeadline(): void {
    if (this.#state === State.idle) {
      this.#retire();
      return;
    }
    const late = this.#state === State.head && this.#requestSent && !this.#awaitsDrain;
    this.#fail(
      late
        ? new SallyportError('upstream_response_timeout', { detail: `no response head within ${this.#timeouts.responseHead} ms` })
        : new SallyportError('upstream_idle_timeout', { detail: `no byte moved for ${this.#timeouts.idle} ms` }),
    );
  }

  #onRead(buffer: Buffer, length: number): boolean {
    const flowing = this.#state === State.detached ? this.#onDetachedRead(buffer, length) : this.#consume(buffer, length);
    this.#memory.dealtWith(buffer, length);
    if (!flowing) this.#stopped = true;
    return flowing;
  }

  #consume(buffer: Buffer, length: number): boolean {
    let p = 0;
    while (this.#state === State.head) {
      const result = this.#gatherer.feed(buffer, p, length, scanResponse);
      if (result === Scan.incomplete) return true;
      if (result !== Scan.complete) return this.#malformed(this.head.fault);
      p = this.#gatherer.consumed;
      const { statusCode } = this.head;
      if (statusCode < 200 && statusCode !== 101) {
        // A reader that takes it for the last word, and one that waits for more, would tell different answers apart.
        if (this.head.minorVersion === 0 || this.head.connectionClose) return this.#malformed('an interim response that ends the connection');
        this.#interimSize += this.head.end - this.head.start;
        if (this.#interimSize > this.head.sizeLimit) return this.#malformed('interim responses without end');
        this.#sink?.onInterimResponse();
        if (p === length) return true;
        continue;
      }
      return this.#respond(buffer, p, length);
    }
    if (this.#state === State.body) return this.#readBody(buffer, 0, length, false);
    if (this.#state === State.idle) {
      // Nobody asked for anything: whatever this is, the next response could be mistaken for it.
      this.#retire();
    }
    return false;
  }

  #respond(buffer: Buffer, start: number, length: number): boolean {
    const { head } = this;
    if (head.statusCode === 101) {
      this.#sink?.onResponse(buffer, start, length);
      return true;
    }
    this.bodyKind = responseBodyKind(head, this.#method);
    this.body.begin(this.bodyKind, head.contentLength);
    this.#state = State.body;
    return this.#readBody(buffer, start, length, true);
  }

  #readBody(buffer: Buffer, start: number, length: number, first: boolean): boolean {
    const { body } = this;
    const sink = this.#sink;
    if (sink === null) return false;
    let flowing = true;
    let pass: number;
    if (this.contentOnly && this.bodyKind === BodyKind.chunked) {
      if (first) flowing = sink.onResponse(buffer, start, start);
      pass = body.read(buffer, start, length, (from, to) => {
        // The sink may be done with this response before the read is.
        if (this.#sink === sink) flowing = sink.onResponseBody(buffer, from, to) && flowing;
      });
      if (this.#sink !== sink) return false;
      if (pass < 0) return this.#malformed(body.fault);
    } else {
      pass = body.done ? start : body.read(buffer, start, length);
      if (pass < 0) return this.#malformed(body.fault);
      if (first) flowing = sink.onResponse(buffer, start, pass);
      else if (pass > start) flowing = sink.onResponseBody(buffer, start, pass);
    }
    if (this.#sink !== sink) return false;
    if (body.done) {
      this.#end((this.bodyKind === BodyKind.none ? start : body.consumed) < length);
      return true;
    }
    this.deadline = flowing ? deadlineIn(this.#timeouts.idle) : Number.POSITIVE_INFINITY;
    return flowing;
  }

  #end(excess: boolean): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#state = State.idle;
    this.#excess = excess;
    this.deadline = Number.POSITIVE_INFINITY;
    this.head.release();
    // TLS hands out what it has decrypted even after it was told to stop: the end can come while reading is stopped, and nobody would start it again.
    if (this.#stopped) this.resume();
    sink?.onResponseEnd();
  }

  #malformed(fault: string): boolean {
    this.#fail(new SallyportError('upstream_response_malformed', { detail: `the response cannot be read: ${fault}` }));
    return false;
  }

  #fail(error: SallyportError): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#socket?.destroy();
    sink?.onUpstreamGone(error);
  }

  readonly #onEnd = (): void => {
    if (this.#state === State.body && this.bodyKind === BodyKind.untilClose && this.#socket?.remoteAddress === undefined) {
      // A reset that comes close behind the last bytes is reported as an end (libuv, on POLLHUP). A socket that was reset has no peer any more.
      this.#fail(new SallyportError('upstream_reset', { detail: 'the connection was closed in the middle of the response' }));
      return;
    }
    if (this.#state === State.body && this.body.endsAtClose()) {
      this.#end(false);
      this.#socket?.destroy();
      return;
    }
    if (this.#state === State.idle) this.#retire();
    else this.#socket?.destroy();
  };

  readonly #onDrain = (): void => {
    if (!this.#awaitsDrain) return;
    this.#awaitsDrain = false;
    if (!this.#requestSent && this.#state === State.head) this.deadline = Number.POSITIVE_INFINITY;
    this.#sink?.onUpstreamDrain();
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (this.#state === State.idle) {
      this.#retire();
      return;
    }
    this.#fail(new SallyportError('upstream_reset', { detail: `the connection broke: ${error.code ?? 'unknown reason'}`, cause: error }));
  };

  /** Takes an idle connection out of use at once: until its socket has closed, somebody could begin an exchange on it. */
  #retire(): void {
    this.#state = State.closed;
    this.deadline = Number.POSITIVE_INFINITY;
    this.#socket?.destroy();
    this.onIdleGone(this);
  }

  readonly #onClose = (): void => {
    const wasIdle = this.#state === State.idle;
    const sink = this.#sink;
    const early = this.#state === State.head;
    this.#leave(State.closed);
    if (wasIdle) this.onIdleGone(this);
    const detail = early ? 'the connection was closed before a response came' : 'the connection was closed in the middle of the response';
    sink?.onUpstreamGone(new SallyportError('upstream_reset', { detail }));
  };

  #leave(state: State): void {
    this.#state = state;
    this.#sink = null;
    this.deadline = Number.POSITIVE_INFINITY;
    deadlines.forget(this);
    if (state === State.closed) this.#memory.close();
  }
}

function scanResponse(head: Head, end: number): ScanResult {
  return head.scanResponse(end);
}

function ignore(): void {}
