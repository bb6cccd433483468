import type { ErrorCode, SallyportError } from '@sallyport/sdk';
import { ownBytes } from '../direct-reads.js';
import { hopByHopFields } from '../field-names.js';
import { trailerSection } from '../head-writer.js';
import { ReadPasser } from '../read-buffers.js';
import type { RequestSink } from '../request-sink.js';
import type { ResponseSink } from '../response-sink.js';
import type { ServerConnection } from '../server-connection.js';
import type { UpstreamConnection } from '../upstream-connection.js';

/**
 * The wire and nothing else as a proxy: passes one request to one upstream connection and its answer back, heads as they came, bodies by
 * `ReadPasser`. What the pipeline does in between is left out.
 */
export class Relay implements RequestSink, ResponseSink {
  /** The most that ever waited for the client, bytes. */
  mostWaiting = 0;
  ended = false;
  gone: ErrorCode | null = null;
  readonly #client: ServerConnection;
  readonly #upstream: UpstreamConnection;
  readonly #passer = new ReadPasser();
  readonly #onOver: () => void;

  constructor(client: ServerConnection, upstream: UpstreamConnection, contentOnly: boolean, onOver: () => void) {
    this.#client = client;
    this.#upstream = upstream;
    this.#onOver = onOver;
    upstream.begin(this, client.head.method);
    upstream.contentOnly = contentOnly;
    upstream.write(client.head.bytes.toString('latin1', client.head.start, client.head.end));
    client.attach(this);
  }

  onRequestBody(bytes: Buffer, start: number, end: number): boolean {
    return this.#upstream.write(ownBytes(bytes, start, end));
  }

  onRequestEnd(): void {
    const { trailers } = this.#client.body;
    if (trailers !== null) this.#upstream.write(trailerSection(trailers, hopByHopFields));
    this.#upstream.requestSent();
  }

  onRequestFault(error: SallyportError): void {
    this.#over(error.code);
    this.#upstream.destroy();
    this.#client.destroy(true);
  }

  onClientGone(code: ErrorCode): void {
    this.#over(code);
    this.#upstream.destroy();
  }

  onClientDrain(): void {
    this.#passer.settle(this.#client);
    this.#upstream.resume();
  }

  onInterimResponse(): void {
    this.#client.write(this.#head());
  }

  onResponse(bytes: Buffer, start: number, end: number): boolean {
    if (!this.#client.body.done) this.#client.persistent = false;
    const flowing = this.#client.write(this.#head());
    return end === start ? flowing : this.onResponseBody(bytes, start, end);
  }

  onResponseBody(bytes: Buffer, start: number, end: number): boolean {
    const flowing = this.#passer.pass(this.#upstream, this.#client, bytes, start, end);
    this.mostWaiting = Math.max(this.mostWaiting, this.#client.socket.writableLength);
    return flowing;
  }

  onResponseEnd(): void {
    const { trailers } = this.#upstream.body;
    if (trailers !== null && !this.#upstream.contentOnly) this.#client.write(trailerSection(trailers, hopByHopFields));
    this.ended = true;
    this.#over(null);
    this.#client.finish();
  }

  onUpstreamGone(error: SallyportError): void {
    this.#over(error.code);
    this.#client.destroy(true);
  }

  onUpstreamDrain(): void {
    this.#client.resumeBody();
  }

  #head(): string {
    const { head } = this.#upstream;
    return head.bytes.toString('latin1', head.start, head.end);
  }

  #over(code: ErrorCode | null): void {
    this.gone ??= code;
    this.#onOver();
  }
}
