import { BodyKind, BodyReader, requestBodyKind, responseBodyKind } from '../body-reader.js';
import { Head, type HeadLimits } from '../head.js';
import { HeadGatherer } from '../head-gatherer.js';
import { Scan } from '../scan.js';
import type { Reading, ReadMessage } from './reading.test.support.js';

/** Bounds that are out of the way of everything but tests about bounds. */
const wideLimits: HeadLimits = { size: 1_048_576, count: 1000 };

/** What the wire reads when it is the server, fed in pieces that end at `splits`, each overwritten once it has been read. */
export function readRequests(input: Buffer, splits: readonly number[] = [], limits = wideLimits): Reading {
  return read(input, splits, limits, null);
}

/** What the wire reads when it is the client and has sent a request with `method`; after the input the connection ends. One final response. */
export function readResponse(input: Buffer, method: string, splits: readonly number[] = [], limits = wideLimits): Reading {
  return read(input, splits, limits, method);
}

function read(input: Buffer, splits: readonly number[], limits: HeadLimits, requestMethod: string | null): Reading {
  const gatherer = new HeadGatherer(new Head(limits));
  const { head } = gatherer;
  const body = new BodyReader();
  const messages: ReadMessage[] = [];
  let open: Omit<ReadMessage, 'body' | 'trailers'> | null = null;
  let content = '';
  let persistent = true;

  const scan = requestMethod === null ? (_: Head, end: number) => head.scanRequest(end) : (_: Head, end: number) => head.scanResponse(end);
  const finish = (): Reading['stop'] | null => {
    const begun = open as Omit<ReadMessage, 'body' | 'trailers'>;
    open = null;
    if (requestMethod !== null && begun.start[0].startsWith('1') && begun.start[0] !== '101') return null;
    messages.push({ ...begun, body: content, trailers: body.trailers === null ? [] : fieldsOf(body.trailers) });
    return requestMethod !== null || !persistent ? 'closed' : null;
  };

  let from = 0;
  for (const to of [...splits, input.length]) {
    if (to <= from) continue;
    const piece = Buffer.from(input.subarray(from, to));
    from = to;
    let p = 0;
    while (p < piece.length) {
      if (open === null) {
        const result = gatherer.feed(piece, p, piece.length, scan);
        if (result === Scan.incomplete) break;
        if (result !== Scan.complete) return { messages, stop: 'refused', reason: head.fault };
        p = gatherer.consumed;
        if (requestMethod !== null && head.statusCode < 200 && head.statusCode !== 101 && (head.minorVersion === 0 || head.connectionClose)) {
          return { messages, stop: 'refused', reason: 'an interim response that ends the connection' };
        }
        const start: readonly [string, string] = requestMethod === null ? [head.method, head.target] : [String(head.statusCode), head.target];
        open = { start, minorVersion: head.minorVersion, fields: fieldsOf(head) };
        content = '';
        persistent = head.minorVersion === 1 ? !head.connectionClose : head.connectionKeepAlive && !head.connectionClose;
        if (start[0] === 'CONNECT') {
          messages.push({ ...open, body: '', trailers: [] });
          return { messages, stop: 'tunnel', reason: '' };
        }
        body.begin(requestMethod === null ? requestBodyKind(head) : responseBodyKind(head, requestMethod), head.contentLength);
      } else {
        const pass = body.read(piece, p, piece.length, (start, end) => {
          content += piece.toString('latin1', start, end);
        });
        if (pass < 0) return { messages, stop: 'refused', reason: body.fault };
        p = body.consumed;
      }
      if (body.done) {
        const stop = finish();
        if (stop !== null) return { messages, stop, reason: '' };
      }
    }
    piece.fill(0xdd);
  }
  if (requestMethod !== null && open !== null && body.kind === BodyKind.untilClose && body.endsAtClose()) {
    finish();
    return { messages, stop: 'closed', reason: '' };
  }
  return { messages, stop: 'incomplete', reason: '' };
}

function fieldsOf(head: Head): Array<readonly [string, string]> {
  return Array.from({ length: head.count }, (_, index) => [head.nameAt(index), head.valueAt(index)] as const);
}
