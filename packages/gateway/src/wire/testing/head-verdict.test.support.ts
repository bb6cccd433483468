import { deepStrictEqual } from 'node:assert';
import { Field } from '../field-names.js';
import { Head, type HeadLimits } from '../head.js';
import { HeadGatherer } from '../head-gatherer.js';
import { Scan, type ScanResult } from '../scan.js';

const limits: HeadLimits = { size: 2048, count: 16 };

/** Which start line is scanned. */
export type Kind = 'request' | 'response';

/** All that a scan says about a head, free of offsets. */
export interface Verdict {
  result: ScanResult;
  fault: string;
  /** One past the head in the whole input; −1 when it is not complete. */
  consumed: number;
  head: unknown;
}

/** The scan of that kind, for a `HeadGatherer`. */
export function scanner(kind: Kind): (head: Head, end: number) => ScanResult {
  return kind === 'request' ? (head, end) => head.scanRequest(end) : (head, end) => head.scanResponse(end);
}

function meaning(head: Head, kind: Kind): unknown {
  const fields: Array<[string, string, number]> = [];
  for (let i = 0; i < head.count; i++) fields.push([head.nameAt(i), head.valueAt(i), head.id[i]]);
  return {
    start: kind === 'request' ? [head.method, head.target] : [head.statusCode, head.target],
    minorVersion: head.minorVersion,
    fields,
    lines: Array.from({ length: head.count }, (_, i) => head.bytes.toString('latin1', head.nameStart[i], head.lineEnd[i])),
    block: head.bytes.toString('latin1', head.fieldsStart, head.end),
    framing: [head.contentLength, head.chunked, head.expectsContinue, head.hosts],
    connection: [head.connectionClose, head.connectionKeepAlive, head.connectionUpgrade, head.upgradeWebSocket, head.nominatesFields],
    hostIndex: head.indexOf(Field.host),
  };
}

/** Feeds the input in pieces that end at `splits`. Every piece lies in a buffer that is overwritten once it was fed, as read buffers are. */
export function feed(
  input: Buffer,
  kind: Kind,
  splits: readonly number[] = [],
  bounds = limits,
  gatherer = new HeadGatherer(new Head(bounds)),
): Verdict {
  const scan = scanner(kind);
  let from = 0;
  for (const to of [...splits, input.length]) {
    if (to <= from) continue;
    const margin = from % 7;
    const piece = Buffer.concat([Buffer.alloc(margin, 0x20), input.subarray(from, to)]);
    const result = gatherer.feed(piece, margin, piece.length, scan);
    if (result !== Scan.incomplete) {
      const complete = result === Scan.complete;
      const verdict: Verdict = {
        result,
        fault: gatherer.head.fault,
        consumed: complete ? from + gatherer.consumed - margin : -1,
        head: complete ? meaning(gatherer.head, kind) : null,
      };
      return verdict;
    }
    piece.fill(0xdd);
    from = to;
  }
  return { result: Scan.incomplete, fault: '', consumed: -1, head: null };
}

/** Latin-1 text as bytes. */
export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** The verdict on the whole input, after it was found to be the same at every split in two and byte by byte. */
export function verdictAtEverySplit(text: string, kind: Kind, bounds = limits): Verdict {
  const input = bytes(text);
  const whole = feed(input, kind, [], bounds);
  for (let split = 1; split < input.length; split++) {
    deepStrictEqual(feed(input, kind, [split], bounds), whole, `split at ${split} of ${JSON.stringify(text.slice(0, 300))}`);
  }
  deepStrictEqual(feed(input, kind, everyByte(input), bounds), whole, 'byte by byte');
  return whole;
}

function everyByte(input: Buffer): number[] {
  return Array.from({ length: input.length }, (_, index) => index);
}

/** A request with these lines behind its Host, in full. */
export const get = (lines: string, version = 'HTTP/1.1'): string => `GET /a ${version}\r\nHost: h\r\n${lines}\r\n`;
