import { type ErrorCode, SallyportError } from '@sallyport/sdk';
import { BodyKind } from '../../wire/body-reader.js';
import type { RequestSink } from '../../wire/request-sink.js';
import type { ServerConnection } from '../../wire/server-connection.js';
import { withoutChunks } from './held-response.js';

/**
 * Reads the whole body of the request that is open, without its framing, at most `limit` bytes; none when it has been read. A client that waits to be
 * told so is told to send it (RFC 9110 §10.1.1). Errors: `body_too_large`, `client_aborted`, and what the wire finds wrong with the body.
 */
export async function wholeRequestBody(client: ServerConnection, limit: number): Promise<Buffer> {
  // Nothing to wait for, and whoever takes part in the exchange already stays attached.
  if (client.body.done) return Buffer.alloc(0);
  const { head } = client;
  if (head.contentLength > limit) throw tooLarge(limit);
  if (head.expectsContinue && !client.bodyAtHand && head.minorVersion === 1) client.write('HTTP/1.1 100 Continue\r\n\r\n');
  return await new Promise((resolve, reject) => client.attach(new Collector(client.bodyKind, limit, resolve, reject)));
}

class Collector implements RequestSink {
  readonly #kind: BodyKind;
  readonly #limit: number;
  readonly #resolve: (body: Buffer) => void;
  readonly #reject: (error: SallyportError) => void;
  readonly #parts: Buffer[] = [];
  #size = 0;

  constructor(kind: BodyKind, limit: number, resolve: (body: Buffer) => void, reject: (error: SallyportError) => void) {
    this.#kind = kind;
    this.#limit = limit;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onRequestBody(bytes: Buffer, start: number, end: number): boolean {
    this.#size += end - start;
    if (this.#size > this.#limit) {
      this.#parts.length = 0;
      this.#reject(tooLarge(this.#limit));
      return false;
    }
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    return true;
  }

  onRequestEnd(): void {
    const raw = Buffer.concat(this.#parts);
    this.#resolve(this.#kind === BodyKind.chunked ? withoutChunks(raw) : raw);
  }

  onRequestFault(error: SallyportError): void {
    this.#reject(error);
  }

  onClientGone(code: ErrorCode): void {
    this.#reject(new SallyportError(code));
  }

  /** Only what was written before counts, and nothing was. */
  onClientDrain(): void {}
}

function tooLarge(limit: number): SallyportError {
  return new SallyportError('body_too_large', { detail: `the body of the request is longer than ${limit} bytes (limits.plugin_body)` });
}
