import type { SallyportError } from '@sallyport/sdk';

/** Takes the response to the request that is open on an upstream connection. */
export interface ResponseSink {
  /** An interim response (1xx but 101) is complete in `connection.head`. */
  onInterimResponse(): void;
  /**
   * The final response head is complete in `connection.head`; `bytes[start, end)` is what the same read holds of the body.
   * False: no more until `resume`.
   */
  onResponse(bytes: Buffer, start: number, end: number): boolean;
  /** Bytes of the body. False: no more until `resume`. */
  onResponseBody(bytes: Buffer, start: number, end: number): boolean;
  onResponseEnd(): void;
  /** The response will not come, or not to its end. */
  onUpstreamGone(error: SallyportError): void;
  /** The upstream takes request bytes again after a `write` that answered false. */
  onUpstreamDrain(): void;
}
