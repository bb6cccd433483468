/** What a reader of HTTP/1.x made of one message. Text is Latin-1: one character a byte. */
export interface ReadMessage {
  /** Method and target of a request, status code and reason phrase of a response. */
  readonly start: readonly [string, string];
  readonly minorVersion: number;
  /** Names in lower case, values without the white space around them. */
  readonly fields: ReadonlyArray<readonly [string, string]>;
  /** The content, without its chunked framing. */
  readonly body: string;
  readonly trailers: ReadonlyArray<readonly [string, string]>;
}

/** What a reader made of all bytes it was given. */
export interface Reading {
  /** Messages that were read to their end. */
  readonly messages: readonly ReadMessage[];
  /**
   * Why there are no more: `refused` by the reader, `incomplete` because bytes are missing, `closed` because no message may follow,
   * `tunnel` because a CONNECT or an upgrade makes the rest bytes of another protocol.
   */
  readonly stop: 'refused' | 'incomplete' | 'closed' | 'tunnel';
  /** The reason of a refusal, for people; the code of a Node error. */
  readonly reason: string;
}
