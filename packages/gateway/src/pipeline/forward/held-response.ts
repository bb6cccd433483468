import { SallyportError } from '@sallyport/sdk';
import { BodyKind, BodyReader } from '../../wire/body-reader.js';
import { Head, type HeadLimits } from '../../wire/head.js';
import { Scan } from '../../wire/scan.js';
import type { ResponseShape } from './response-head.js';

/** What becomes of a response that was held back. */
export type Verdict =
  /** The request goes out once more: what it carried has been renewed. */
  | { readonly again: true }
  | {
      readonly again: false;
      /** The head it goes on with. */
      readonly head: Head;
      /** What stands in for its body; null when that stays. */
      readonly replacement: Uint8Array | null;
      /** The body of an error goes on as it is. */
      readonly showsErrors: boolean;
    };

/** Looks at a response that is held back; the signal aborts when nobody waits for it any more. Rejects only by mistake. */
export type Review = (held: HeldResponse, signal: AbortSignal) => Promise<Verdict>;

/**
 * A response of which nothing has reached the client: its head in memory of its own, and what has come of its body. The upstream is not read any further
 * unless somebody asks for the whole body.
 */
export class HeldResponse implements ResponseShape {
  readonly head: Head;
  readonly bodyKind: BodyKind;
  readonly contentOnly: boolean;
  /** The upstream has sent all of it. */
  ended = false;
  /** It broke off. */
  fault: SallyportError | null = null;
  /** The trailer section, where there is one. */
  trailers: Head | null = null;
  /** The whole body without its framing, once it was asked for and has come. */
  content: Buffer | null = null;
  readonly #resume: () => void;
  readonly #parts: Buffer[] = [];
  #size = 0;
  #limit = 0;
  #waiting: { resolve(body: Buffer): void; reject(error: SallyportError): void } | null = null;

  constructor({ head, bodyKind, contentOnly }: ResponseShape, limits: HeadLimits, resume: () => void) {
    this.head = headOf(head.bytes.subarray(head.start, head.end), limits);
    this.bodyKind = bodyKind;
    this.contentOnly = contentOnly;
    this.#resume = resume;
  }

  /** Keeps bytes of the body. False: no more until `resume`. */
  take(bytes: Buffer, start: number, end: number): boolean {
    if (end > start) this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    this.#size += end - start;
    if (this.#waiting !== null && this.#size > this.#limit) this.#fail(tooLarge(this.#limit));
    return this.#waiting !== null;
  }

  /** The upstream has sent the last byte. */
  finish(trailers: Head | null): void {
    trailers?.settle();
    this.trailers = trailers;
    this.ended = true;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(this.#whole());
  }

  /** The rest will not come. */
  break(error: SallyportError): void {
    this.fault = error;
    this.#fail(error);
  }

  /** The whole body without its framing. Rejects with `body_too_large`, or with what kept it from coming; it can be passed on all the same. */
  readonly body = async (limit: number): Promise<Uint8Array> => {
    if (this.content !== null) return this.content;
    if (this.fault !== null) throw this.fault;
    if (this.#size > limit) throw tooLarge(limit);
    if (this.ended) return this.#whole();
    this.#limit = limit;
    return await new Promise<Buffer>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#resume();
    });
  };

  /** What has come, framing and all, to be passed on as it came. */
  get raw(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #whole(): Buffer {
    const raw = this.raw;
    this.content = this.bodyKind === BodyKind.chunked && !this.contentOnly ? withoutChunks(raw) : raw;
    return this.content;
  }

  #fail(error: SallyportError): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(error);
  }
}

/** The content of a chunked body that was read to its end. */
export function withoutChunks(raw: Buffer): Buffer {
  const parts: Buffer[] = [];
  const reader = new BodyReader();
  reader.begin(BodyKind.chunked, 0);
  reader.read(raw, 0, raw.length, (from, to) => parts.push(raw.subarray(from, to)));
  return Buffer.concat(parts);
}

/** A response head out of its text. Errors: `plugin_result_invalid` when it is more than a head may be. */
export function headOf(text: Uint8Array, limits: HeadLimits): Head {
  const bytes = Buffer.from(text);
  const head = new Head(limits);
  head.begin(bytes, 0);
  if (head.scanResponse(bytes.length) === Scan.complete) return head;
  throw new SallyportError('plugin_result_invalid', { detail: `the response cannot be sent with the fields that it was given: ${head.fault}` });
}

function tooLarge(limit: number): SallyportError {
  return new SallyportError('body_too_large', { detail: `the body of the response is longer than ${limit} bytes (limits.plugin_body)` });
}
