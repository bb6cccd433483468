import { type ErrorCode, SallyportError } from '@sallyport/sdk';
import { BodyKind } from '../wire/body-reader.js';
import { ChunkedScanner } from '../wire/chunked.js';
import { fieldId } from '../wire/field-names.js';
import type { RequestSink } from '../wire/request-sink.js';
import type { ServerConnection } from '../wire/server-connection.js';

const LONGEST_BODY = 64 * 1024;
const EXPECT = fieldId('expect');

/** What becomes of a body that is read whole. One of them is called, once. */
interface BodyReceiver {
  onBody(text: string): void;
  /** It is too long (`renewal_request_invalid`), malformed, or does not come. */
  onFault(error: SallyportError): void;
  onGone(code: ErrorCode): void;
}

/** Reads the body of the open request as UTF-8 text of at most 64 KiB. */
export function receiveBody(connection: ServerConnection, receiver: BodyReceiver): void {
  const { head, body } = connection;
  // A client that asks first sends nothing for a while unless it is told to (RFC 9110 §10.1.1).
  const asks = head.minorVersion === 1 && head.value(EXPECT)?.toLowerCase() === '100-continue';
  if (asks && !body.done && !connection.bodyAtHand) connection.write('HTTP/1.1 100 Continue\r\n\r\n');
  connection.attach(new WholeBody(receiver, connection.bodyKind === BodyKind.chunked));
}

class WholeBody implements RequestSink {
  readonly #receiver: BodyReceiver;
  readonly #chunks: ChunkedScanner | null;
  readonly #parts: Buffer[] = [];
  #size = 0;
  #over = false;

  constructor(receiver: BodyReceiver, chunked: boolean) {
    this.#receiver = receiver;
    this.#chunks = chunked ? new ChunkedScanner() : null;
    this.#chunks?.begin();
  }

  onRequestBody(bytes: Buffer, start: number, end: number): boolean {
    // The connection has checked the framing, so there is no fault to find here.
    if (this.#chunks === null) this.#take(bytes, start, end);
    else this.#chunks.read(bytes, start, end, (from, to) => this.#take(bytes, from, to));
    if (this.#size > LONGEST_BODY) {
      const detail = `The body has more than ${LONGEST_BODY} bytes.`;
      this.#end(() => this.#receiver.onFault(new SallyportError('renewal_request_invalid', { detail, members: { error: 'invalid request body' } })));
    }
    return true;
  }

  onRequestEnd(): void {
    this.#end(() => this.#receiver.onBody(Buffer.concat(this.#parts).toString('utf8')));
  }

  onRequestFault(error: SallyportError): void {
    this.#end(() => this.#receiver.onFault(error));
  }

  onClientGone(code: ErrorCode): void {
    this.#end(() => this.#receiver.onGone(code));
  }

  onClientDrain(): void {}

  #take(bytes: Buffer, start: number, end: number): void {
    this.#size += end - start;
    // A copy: the memory of a read is used again for the next.
    if (this.#size <= LONGEST_BODY) this.#parts.push(Buffer.from(bytes.subarray(start, end)));
  }

  #end(tell: () => void): void {
    if (this.#over) return;
    this.#over = true;
    tell();
  }
}
