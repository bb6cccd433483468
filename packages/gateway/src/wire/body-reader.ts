import { CR, LF } from './characters.js';
import { type ChunkDataSink, ChunkedScanner } from './chunked.js';
import { forbiddenTrailers } from './field-names.js';
import { Head } from './head.js';
import { HeadGatherer } from './head-gatherer.js';
import { Scan } from './scan.js';

/** How the end of a body is found (RFC 9112 §6.3). */
export const BodyKind = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const;
export type BodyKind = (typeof BodyKind)[keyof typeof BodyKind];

/** The body of a request whose head is complete and was accepted. */
export function requestBodyKind(head: Head): BodyKind {
  if (head.chunked) return BodyKind.chunked;
  return head.contentLength > 0 ? BodyKind.length : BodyKind.none;
}

/** The body of the response to a request with `method`. */
export function responseBodyKind(head: Head, method: string): BodyKind {
  const { statusCode } = head;
  if (method === 'HEAD' || statusCode < 200 || statusCode === 204 || statusCode === 304) return BodyKind.none;
  if (head.chunked) return BodyKind.chunked;
  if (head.contentLength < 0) return BodyKind.untilClose;
  return head.contentLength === 0 ? BodyKind.none : BodyKind.length;
}

const TRAILER_LIMITS = { size: 8192, count: 32 };

/**
 * Follows one body after another through the reads of a connection and says which bytes belong to it. It never copies or changes them.
 * The trailer section of a chunked body is taken out, checked, and kept until the body is done.
 */
export class BodyReader {
  kind: BodyKind = BodyKind.none;
  /** True once the last byte of the body has been read. */
  done = true;
  /** What is wrong with the body, when `read` answered −1; `trailerFault` when it is the trailer section. */
  fault = '';
  trailerFault = false;
  /** Bytes of the body so far, framing included. */
  size = 0;
  #remaining = 0;
  #chunks: ChunkedScanner | null = null;
  #trailers: HeadGatherer | null = null;
  #inTrailers = false;
  #afterPayload = 0;

  begin(kind: BodyKind, length: number): void {
    this.kind = kind;
    this.done = kind === BodyKind.none;
    this.#remaining = length;
    this.size = 0;
    this.fault = '';
    this.trailerFault = false;
    this.#inTrailers = false;
    this.#afterPayload = 0;
    if (kind === BodyKind.chunked) {
      this.#chunks ??= new ChunkedScanner();
      this.#chunks.begin();
    }
    this.#trailers = null;
  }

  /**
   * Reads on in `bytes[start, end)`. Answers one past the last byte that can be passed on as it is; −1 when the body is malformed.
   * Bytes that are consumed but not passed on (the trailer section) lie between that and `consumed`.
   */
  read(bytes: Buffer, start: number, end: number, onData: ChunkDataSink | null = null): number {
    const pass = this.#read(bytes, start, end, onData);
    if (pass >= 0) this.size += pass - start;
    return pass;
  }

  /** One past the last byte of the last `read` that belonged to this body. */
  get consumed(): number {
    return this.#afterPayload;
  }

  /** The trailer section that was held back, once `done`: whoever passes the body on writes it. Null when nothing was held back. */
  get trailers(): Head | null {
    return this.#trailers === null ? null : this.#trailers.head;
  }

  /** The peer closed its side. True when that is where the body ends; otherwise it was cut short. */
  endsAtClose(): boolean {
    if (this.kind === BodyKind.untilClose) this.done = true;
    return this.done;
  }

  #read(bytes: Buffer, start: number, end: number, onData: ChunkDataSink | null): number {
    switch (this.kind) {
      case BodyKind.none:
        this.#afterPayload = start;
        return start;
      case BodyKind.untilClose:
        onData?.(start, end);
        this.#afterPayload = end;
        return end;
      case BodyKind.length: {
        const take = Math.min(this.#remaining, end - start);
        this.#remaining -= take;
        if (this.#remaining === 0) this.done = true;
        onData?.(start, start + take);
        this.#afterPayload = start + take;
        return start + take;
      }
      default:
        return this.#readChunked(bytes, start, end, onData);
    }
  }

  #readChunked(bytes: Buffer, start: number, end: number, onData: ChunkDataSink | null): number {
    const chunks = this.#chunks as ChunkedScanner;
    let pass = start;
    if (!this.#inTrailers) {
      pass = chunks.read(bytes, start, end, onData);
      if (pass < 0) {
        this.fault = chunks.fault;
        return -1;
      }
      this.#afterPayload = pass;
      if (!chunks.atTrailers) return pass;
      this.#inTrailers = true;
    }
    if (this.#trailers === null && end - pass >= 2 && bytes[pass] === CR && bytes[pass + 1] === LF) {
      // By far the most common end: no trailers, and the empty line came in the same read. It goes on with the rest, as it is.
      this.done = true;
      this.#afterPayload = pass + 2;
      return pass + 2;
    }
    return this.#readTrailers(bytes, pass, end) ? pass : -1;
  }

  /** The last chunk line has gone by; what is left is `*( field-line CRLF ) CRLF`. */
  #readTrailers(bytes: Buffer, start: number, end: number): boolean {
    this.#trailers ??= new HeadGatherer(new Head(TRAILER_LIMITS));
    this.#afterPayload = end;
    if (start === end) return true;
    const result = this.#trailers.feed(bytes, start, end, scanTrailers);
    if (result === Scan.incomplete) return true;
    const { head } = this.#trailers;
    if (result !== Scan.complete) {
      this.fault = `in the trailer section: ${head.fault}`;
      this.trailerFault = true;
      return false;
    }
    for (let i = 0; i < head.count; i++) {
      if (forbiddenTrailers[head.id[i]] === 1) {
        this.fault = `the field ${head.nameAt(i)} may not be sent in the trailer section`;
        this.trailerFault = true;
        return false;
      }
    }
    this.done = true;
    this.#afterPayload = this.#trailers.consumed;
    return true;
  }
}

function scanTrailers(head: Head, end: number): ReturnType<Head['scanTrailers']> {
  return head.scanTrailers(end);
}
