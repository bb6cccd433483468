import type { ErrorCode, SallyportError } from '@sallyport/sdk';

/** Takes the body of the request that is open on a server connection, and learns what happens to its client. */
export interface RequestSink {
  /** Bytes of the body, as they came; whoever keeps them longer takes `ownBytes`. False: no more until `resumeBody`. */
  onRequestBody(bytes: Buffer, start: number, end: number): boolean;
  onRequestEnd(): void;
  /** The body cannot be read to its end: malformed, or silent for too long. */
  onRequestFault(error: SallyportError): void;
  /** The client is gone; nothing can be written any more. */
  onClientGone(code: ErrorCode): void;
  /** The client takes bytes again after a `write` that answered false. */
  onClientDrain(): void;
}
