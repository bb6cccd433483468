import type { Socket } from 'node:net';
import { type ErrorCode, SallyportError } from '@sallyport/sdk';
import { BodyKind, BodyReader, requestBodyKind } from './body-reader.js';
import { type Deadlined, deadlineIn, deadlines } from './deadlines.js';
import { ownBytes, readDirectly, readIndirectly } from './direct-reads.js';
import { Head, type HeadLimits } from './head.js';
import { HeadGatherer } from './head-gatherer.js';
import { LingeringClose } from './lingering-close.js';
import { bytesDealtWith } from './read-buffers.js';
import type { RequestSink } from './request-sink.js';
import { Scan, type ScanResult } from './scan.js';
import { WaitingBytes } from './waiting-bytes.js';

/** Milliseconds; 0 means no limit. */
export interface ServerTimeouts {
  /** From the first byte of a request head to its last. */
  readonly head: number;
  /** Between two reads of a request body, and between two writes to a client that does not take them. */
  readonly idle: number;
  /** How long a kept connection may wait for its next request. */
  readonly keepAlive: number;
}

/** Decides what a complete request head means. Called once for each request, in the order of arrival, never while another one is open. */
export interface RequestHandler {
  onRequest(connection: ServerConnection): void;
  /** The head was refused; the handler answers, and the connection closes after that. */
  onRefusedHead(connection: ServerConnection, error: SallyportError): void;
  /** The connection is gone, or its socket was handed over. */
  onClosed(connection: ServerConnection): void;
}

const State = { head: 0, exchange: 1, lingering: 2, detached: 3, closed: 4 } as const;
type State = (typeof State)[keyof typeof State];

const scanErrors = {
  [Scan.malformed]: 'request_malformed',
  [Scan.ambiguous]: 'request_framing_ambiguous',
  [Scan.tooLarge]: 'request_head_too_large',
  [Scan.versionUnsupported]: 'request_version_unsupported',
} as const;

/**
 * The server side of one HTTP/1.x connection: requests are read one after another, each answered before the next is looked at, so that answers
 * keep the order of pipelined requests and memory stays bounded. Works on any duplex socket, TLS or not.
 */
export class ServerConnection implements Deadlined {
  readonly socket: Socket;
  readonly head: Head;
  readonly body = new BodyReader();
  bodyKind: BodyKind = BodyKind.none;
  /** Whether the connection may stay open after this response. Only ever lowered while an exchange is open. */
  persistent = true;
  deadline = Number.POSITIVE_INFINITY;
  /** Called when the client goes away while nobody is attached: somebody is still finding out what to do with its request. */
  onGone: (() => void) | null = null;

  readonly #transport: Socket;
  readonly #handler: RequestHandler;
  readonly #timeouts: ServerTimeouts;
  readonly #gatherer: HeadGatherer;
  readonly #waiting: WaitingBytes;
  #state: State = State.head;
  #sink: RequestSink | null = null;
  #bodyBlocked = false;
  #pumping = false;
  #inputEnded = false;
  #awaitsClientDrain = false;
  #lingering: LingeringClose | null = null;
  #draining = false;

  /** `transport` is the TCP connection below `socket` where that speaks TLS and was made here. */
  constructor(socket: Socket, handler: RequestHandler, limits: HeadLimits, timeouts: ServerTimeouts, transport = socket) {
    this.socket = socket;
    this.#transport = transport;
    this.#handler = handler;
    this.#timeouts = timeouts;
    this.head = new Head(limits);
    this.#gatherer = new HeadGatherer(this.head);
    this.#waiting = new WaitingBytes(socket);
    this.deadline = deadlineIn(timeouts.head);
    deadlines.watch(this);
    readDirectly(socket, this.#onDirectRead);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('drain', this.#onDrain);
    // What went wrong shows in `close`, which always follows; without a listener the process would end.
    socket.on('error', ignore);
    socket.on('close', this.#onClose);
  }

  /** True while no request is open and none has begun to arrive. */
  get idle(): boolean {
    return this.#state === State.head && !this.#gatherer.partial;
  }

  /** True once nothing can be written any more. */
  get closed(): boolean {
    return this.#state === State.closed;
  }

  /** True while bytes of the body have been read and not been taken: they follow as soon as a sink is attached. */
  get bodyAtHand(): boolean {
    return !this.body.done && this.#waiting.some;
  }

  /** Bytes that were read before this object was there, in front of everything that still comes. */
  start(first: Buffer | null): void {
    // In this order: whoever takes the first bytes may pause the socket, or take it over.
    this.socket.resume();
    if (first !== null && first.length > 0) this.#onData(first);
  }

  /** Opens the way for the body of the current request. */
  attach(sink: RequestSink): void {
    if (this.#state === State.closed) {
      sink.onClientGone('client_aborted');
      return;
    }
    this.#sink = sink;
    if (this.body.done) sink.onRequestEnd();
    else this.resumeBody();
  }

  /** The sink takes body bytes again. */
  resumeBody(): void {
    this.#bodyBlocked = false;
    this.#awaitClient();
    if (!this.#pumping) this.#pumpRest();
  }

  /** Writes to the client. False when it should wait for `onClientDrain`. */
  write(data: string | Uint8Array): boolean {
    if (this.#state === State.closed) return true;
    const flowing = typeof data === 'string' ? this.socket.write(data, 'latin1') : this.socket.write(data);
    if (!flowing) {
      this.#awaitsClientDrain = true;
      this.deadline = deadlineIn(this.#timeouts.idle);
    }
    return flowing;
  }

  /** True while bytes that were written are not in the hands of the kernel, which means that their memory is still being read. */
  get writePending(): boolean {
    return this.socket.writableLength > 0;
  }

  /** The response is complete. The connection goes on to its next request, or closes when it may not be kept. */
  finish(): void {
    if (this.#state !== State.exchange) return;
    this.#sink = null;
    if (!this.persistent || !this.body.done) {
      this.#linger();
      return;
    }
    this.#state = State.head;
    this.head.release();
    // A client that does not take its answers gets no further ones: `#pump` waits for it.
    this.deadline = deadlineIn(this.#awaitsClientDrain ? this.#timeouts.idle : this.#timeouts.keepAlive);
    if (!this.#pumping) this.#pumpRest();
  }

  /** No further request: closes now when nothing is under way, otherwise after the response. */
  drain(): void {
    this.#draining = true;
    this.persistent = false;
    if (this.idle) this.socket.destroySoon();
  }

  /** Ends the connection at once. With `reset` the client sees that what it has is not whole, whatever the framing says. */
  destroy(reset = false): void {
    if (this.#state === State.closed) return;
    // TLS that just stops looks like an end to many clients: what they have to see is the reset of the connection below it.
    if (reset && !('encrypted' in this.#transport)) this.#transport.resetAndDestroy();
    this.socket.destroy();
  }

  /** Hands the socket over, with the bytes that were read beyond the request head. After that this object takes no part any more. */
  detach(): Buffer | null {
    const waiting = this.#waiting.take();
    const rest = waiting === null ? null : ownBytes(waiting, 0, waiting.length);
    this.#leave(State.detached);
    this.socket.pause();
    this.#handler.onClosed(this);
    return rest;
  }

  onDeadline(): void {
    if (this.#state === State.head) {
      if (this.#gatherer.partial)
        this.#refuse(new SallyportError('client_head_timeout', { detail: `the request head was not complete after ${this.#timeouts.head} ms` }));
      else this.destroy(this.#awaitsClientDrain);
    } else if (this.#awaitsClientDrain) this.#gone('client_idle_timeout');
    else this.#sink?.onRequestFault(new SallyportError('client_idle_timeout', { detail: `no byte of the body for ${this.#timeouts.idle} ms` }));
  }

  readonly #onData = (chunk: Buffer): void => this.#take(chunk, chunk.length);

  readonly #onDirectRead = (bytes: Buffer, length: number): void => {
    this.#take(bytes, length);
    // The next read, of whatever connection, goes into the same memory.
    if (this.head.bytes === bytes) this.head.settle();
    bytesDealtWith(bytes, length);
  };

  #take(bytes: Buffer, length: number): void {
    if (this.#lingering !== null) this.#lingering.passOver(length);
    else if (this.#waiting.some) this.#waiting.add(bytes, length);
    else this.#pump(bytes, 0, length);
  }

  #pumpRest(): void {
    const rest = this.#waiting.take();
    if (rest !== null) this.#pump(rest, 0, rest.length);
    if (!this.#waiting.some && !this.#bodyBlocked && (this.#state === State.head || this.#state === State.exchange)) {
      if (this.socket.isPaused()) this.socket.resume();
      if (this.#inputEnded) this.#onInputEnd();
    }
  }

  /** Reads as many requests and body bytes as `chunk[start, end)` holds and the other side takes. */
  #pump(chunk: Buffer, start: number, end: number): void {
    this.#pumping = true;
    let p = start;
    while (p < end) {
      if (this.#state === State.head) {
        if (this.#awaitsClientDrain) {
          this.#waiting.keep(chunk, p, end);
          break;
        }
        p = this.#readHead(chunk, p, end);
      } else if (this.#state === State.exchange) {
        if (this.body.done || this.#sink === null || this.#bodyBlocked) {
          this.#waiting.keep(chunk, p, end);
          break;
        }
        p = this.#readBody(chunk, p, end);
      } else break;
    }
    this.#pumping = false;
  }

  #readHead(chunk: Buffer, start: number, end: number): number {
    const fresh = !this.#gatherer.partial;
    const result = this.#gatherer.feed(chunk, start, end, scanRequest);
    if (result === Scan.incomplete) {
      if (fresh) this.deadline = deadlineIn(this.#timeouts.head);
      return end;
    }
    if (result !== Scan.complete) {
      this.#refuse(new SallyportError(scanErrors[result], { detail: this.head.fault }));
      return end;
    }
    const { head } = this;
    this.#state = State.exchange;
    this.persistent = head.keepsConnection && !this.#draining;
    this.bodyKind = requestBodyKind(head);
    this.body.begin(this.bodyKind, head.contentLength);
    this.#bodyBlocked = false;
    this.#awaitClient();
    const next = this.#gatherer.consumed;
    // A handler that takes the socket over finds here what was read too far.
    this.#waiting.note(chunk, next, end);
    this.#handler.onRequest(this);
    if ((this.#state as State) !== State.detached) this.#waiting.take();
    return next;
  }

  #readBody(chunk: Buffer, start: number, end: number): number {
    const { body } = this;
    const sink = this.#sink as RequestSink;
    const pass = body.read(chunk, start, end);
    if (pass < 0) {
      const code = body.trailerFault ? 'request_trailers_refused' : 'request_malformed';
      this.persistent = false;
      sink.onRequestFault(new SallyportError(code, { detail: body.fault }));
      return end;
    }
    const next = body.consumed;
    const flowing = pass === start || sink.onRequestBody(chunk, start, pass);
    // The sink may have ended the exchange while it took the bytes: then nothing here is about it any more.
    if (this.#sink !== sink) return next;
    this.#bodyBlocked = !flowing && !body.done;
    this.#awaitClient();
    if (this.#bodyBlocked) this.socket.pause();
    if (body.done) sink.onRequestEnd();
    return next;
  }

  /** Sets the deadline for what the client owes: more of the body, or to take what was written. */
  #awaitClient(): void {
    const awaited = this.#awaitsClientDrain || !(this.body.done || this.#bodyBlocked);
    this.deadline = awaited ? deadlineIn(this.#timeouts.idle) : Number.POSITIVE_INFINITY;
  }

  readonly #onEnd = (): void => {
    this.#inputEnded = true;
    if (!this.#waiting.some) this.#onInputEnd();
  };

  #onInputEnd(): void {
    if (this.#state === State.exchange) {
      // A client may close its half after a whole request and still read the answer.
      this.persistent = false;
      if (!this.body.done) this.#gone('client_aborted');
    } else if (this.#state === State.head) {
      // `#linger` lets answers that are still on their way arrive.
      this.#linger();
    } else if (this.#state === State.lingering) this.socket.destroySoon();
  }

  readonly #onDrain = (): void => {
    if (!this.#awaitsClientDrain) return;
    this.#awaitsClientDrain = false;
    if (this.#state === State.head) {
      this.deadline = deadlineIn(this.#timeouts.keepAlive);
      this.#pumpRest();
      return;
    }
    this.#awaitClient();
    this.#sink?.onClientDrain();
  };

  readonly #onClose = (): void => {
    const sink = this.#sink;
    this.#leave(State.closed);
    sink?.onClientGone('client_aborted');
    this.onGone?.();
    this.#handler.onClosed(this);
  };

  #gone(code: ErrorCode): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.onClientGone(code);
    // Not just closed: bytes that were written may be left behind, and a body that ends with the connection would look whole.
    this.destroy(true);
  }

  #refuse(error: SallyportError): void {
    this.#state = State.exchange;
    this.persistent = false;
    this.bodyKind = BodyKind.none;
    this.body.begin(BodyKind.none, 0);
    this.deadline = Number.POSITIVE_INFINITY;
    this.#handler.onRefusedHead(this, error);
    this.head.release();
  }

  #linger(): void {
    this.#state = State.lingering;
    this.#waiting.take();
    this.#awaitsClientDrain = false;
    this.deadline = Number.POSITIVE_INFINITY;
    this.#lingering = new LingeringClose(this, this.#timeouts.idle);
    if (this.#inputEnded) this.socket.destroySoon();
    else this.socket.resume();
  }

  #leave(state: State): void {
    this.#state = state;
    this.#sink = null;
    this.#waiting.take();
    this.#lingering?.end();
    this.deadline = Number.POSITIVE_INFINITY;
    deadlines.forget(this);
    this.socket.off('data', this.#onData);
    this.socket.off('end', this.#onEnd);
    this.socket.off('drain', this.#onDrain);
    if (state !== State.detached) return;
    readIndirectly(this.socket);
    this.socket.off('close', this.#onClose);
    this.socket.off('error', ignore);
  }
}

function scanRequest(head: Head, end: number): ScanResult {
  return head.scanRequest(end);
}

function ignore(): void {}
