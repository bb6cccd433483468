import { BodyKind } from '../../wire/body-reader.js';
import type { FieldSet } from '../../wire/field-names.js';
import type { Head } from '../../wire/head.js';
import { keptLines, statusLine } from '../../wire/head-writer.js';
import type { ServerConnection } from '../../wire/server-connection.js';
import type { Passage } from '../passage.js';

/** A response that is being passed on, as far as its head says how. */
export interface ResponseShape {
  readonly head: Head;
  readonly bodyKind: BodyKind;
  /** The chunks come without their framing: the client does not know it. */
  readonly contentOnly: boolean;
}

/**
 * The response head as the client gets it, after `ForwardHooks.sanitize` has marked in it what may not get there; `masked` are the lines that stand in.
 * Lowers `persistent` where the end of the body can only be shown by closing.
 */
export function responseHead(passage: Passage, { head, bodyKind, contentOnly }: ResponseShape, masked: string): string {
  const { exchange, client, door, runtime } = passage;
  let framing = '';
  switch (bodyKind) {
    case BodyKind.chunked:
      if (contentOnly) client.persistent = false;
      else framing = 'Transfer-Encoding: chunked\r\n';
      break;
    case BodyKind.untilClose:
      client.persistent = false;
      break;
    default:
      // For HEAD and 304 it says what a GET would have brought; a 204 may not have one (RFC 9110 §8.6).
      if (head.contentLength >= 0 && head.statusCode !== 204) framing = `Content-Length: ${head.contentLength}\r\n`;
  }
  return `${statusLine(head)}${keptLines(head, runtime.hopByHop)}${masked}${door.responseLines(exchange)}${framing}${connectionLine(client)}\r\n`;
}

/** The same in front of a body that is at hand as a whole; `dropped` are the fields that do not describe it any more. */
export function wholeResponseHead(passage: Passage, head: Head, dropped: FieldSet, lines: string, masked: string): string {
  const { exchange, client, door } = passage;
  return `${statusLine(head)}${keptLines(head, dropped)}${masked}${door.responseLines(exchange)}${lines}${connectionLine(client)}\r\n`;
}

/** The whole answer to a 4xx or 5xx with the neutral body of the door: what described the old body goes with it. */
export function normalizedAnswer(passage: Passage, head: Head, masked: string): string {
  const { exchange, door, runtime } = passage;
  const { contentType, body } = door.normalizedError(exchange, head.statusCode);
  const shown = exchange.method === 'HEAD' ? '' : body;
  const length = Buffer.byteLength(body);
  exchange.responseBytes = shown === '' ? 0 : length;
  const lines = `Content-Type: ${contentType}\r\nContent-Length: ${length}\r\n`;
  return wholeResponseHead(passage, head, runtime.representationFields, lines, masked) + Buffer.from(shown, 'utf8').toString('latin1');
}

function connectionLine(client: ServerConnection): string {
  if (!client.persistent) return 'Connection: close\r\n';
  return client.head.minorVersion === 0 ? 'Connection: keep-alive\r\n' : '';
}
