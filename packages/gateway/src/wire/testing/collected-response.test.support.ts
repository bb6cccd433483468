import type { ErrorCode, SallyportError } from '@sallyport/sdk';
import { hopByHopFields } from '../field-names.js';
import { trailerSection } from '../head-writer.js';
import type { ResponseSink } from '../response-sink.js';
import type { UpstreamConnection } from '../upstream-connection.js';

/** One response as a test sees it. Bytes are copied inside the callback, as every sink has to. Throws when it is told what cannot be. */
export class CollectedResponse implements ResponseSink {
  readonly connection: UpstreamConnection;
  status = 0;
  readonly interim: number[] = [];
  readonly pieces: Buffer[] = [];
  size = 0;
  /** Names and values of the trailers that were held back. */
  trailers: Array<readonly [string, string]> = [];
  ended = false;
  gone: ErrorCode | null = null;
  detail = '';
  drains = 0;
  /** Takes no more while false. */
  flowing = true;
  onProgress: () => void = () => {};
  readonly #waiting: Array<() => void> = [];

  constructor(connection: UpstreamConnection) {
    this.connection = connection;
  }

  get body(): string {
    return Buffer.concat(this.pieces).toString('latin1');
  }

  /** Resolves as soon as the condition holds; looked at whenever anything happens to the response. */
  async when(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves once the response has ended or is known not to. */
  over(): Promise<void> {
    return this.when(() => this.ended || this.gone !== null);
  }

  onInterimResponse(): void {
    this.#open();
    this.interim.push(this.connection.head.statusCode);
    this.#tell();
  }

  onResponse(bytes: Buffer, start: number, end: number): boolean {
    this.#open();
    if (this.status !== 0) throw new Error('a second response');
    this.status = this.connection.head.statusCode;
    return this.#take(bytes, start, end);
  }

  onResponseBody(bytes: Buffer, start: number, end: number): boolean {
    this.#open();
    if (this.status === 0) throw new Error('a body before its head');
    return this.#take(bytes, start, end);
  }

  onResponseEnd(): void {
    this.#open();
    this.ended = true;
    const { trailers } = this.connection.body;
    if (trailers !== null) {
      this.trailers = Array.from({ length: trailers.count }, (_, index) => [trailers.nameAt(index), trailers.valueAt(index)] as const);
      // What was held back is for the sink to pass on.
      if (!this.connection.contentOnly) this.pieces.push(Buffer.from(trailerSection(trailers, hopByHopFields), 'latin1'));
    }
    this.#tell();
  }

  onUpstreamGone(error: SallyportError): void {
    this.#open();
    this.gone = error.code;
    this.detail = error.message;
    this.#tell();
  }

  onUpstreamDrain(): void {
    this.drains++;
    this.#tell();
  }

  #take(bytes: Buffer, start: number, end: number): boolean {
    this.pieces.push(Buffer.from(bytes.subarray(start, end)));
    this.size += end - start;
    this.#tell();
    return this.flowing;
  }

  #open(): void {
    if (this.ended || this.gone !== null) throw new Error('told something after the end');
  }

  #tell(): void {
    this.onProgress();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
