import { COMMA, lowerToken, SPACE, TAB } from './characters.js';
import { Field } from './field-names.js';
import { refuse, Scan, type ScanResult } from './scan.js';

/** What the fields of a head say about where the message ends, who it is for, and what becomes of the connection. */
export interface Framing {
  readonly bytes: Buffer;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  readonly minorVersion: number;
  /** −1 without Content-Length. */
  contentLength: number;
  chunked: boolean;
  expectsContinue: boolean;
  connectionClose: boolean;
  connectionKeepAlive: boolean;
  connectionUpgrade: boolean;
  upgradeWebSocket: boolean;
  /** True when Connection nominates fields beyond the options that are understood here. */
  nominatesFields: boolean;
  /** How many Host fields there are. */
  hosts: number;
  fault: string;
}

const LONGEST_LENGTH = 15;
const CHUNKED = Buffer.from('chunked', 'latin1');
const HUNDRED_CONTINUE = Buffer.from('100-continue', 'latin1');
const CLOSE = Buffer.from('close', 'latin1');
const KEEP_ALIVE = Buffer.from('keep-alive', 'latin1');
const UPGRADE = Buffer.from('upgrade', 'latin1');
const WEBSOCKET = Buffer.from('websocket', 'latin1');

/** Reads the field with an id up to `LAST_FRAMING_FIELD` whose value is `bytes[start, end)`. Refuses what two readers could understand in two ways. */
export function noteFramingField(framing: Framing, id: number, start: number, end: number): ScanResult {
  switch (id) {
    case Field.host:
      framing.hosts++;
      return Scan.complete;
    case Field.contentLength:
      return noteContentLength(framing, start, end);
    case Field.transferEncoding:
      return noteTransferEncoding(framing, start, end);
    case Field.connection:
      noteConnection(framing, start, end);
      return Scan.complete;
    case Field.upgrade:
      framing.upgradeWebSocket = isWord(framing.bytes, start, end, WEBSOCKET);
      return Scan.complete;
    default:
      framing.expectsContinue = isWord(framing.bytes, start, end, HUNDRED_CONTINUE);
      return Scan.complete;
  }
}

function noteContentLength(framing: Framing, start: number, end: number): ScanResult {
  const { bytes } = framing;
  if (framing.contentLength >= 0) return refuse(framing, Scan.ambiguous, 'more than one Content-Length field');
  if (framing.chunked) return refuse(framing, Scan.ambiguous, 'both Content-Length and Transfer-Encoding');
  if (start === end || end - start > LONGEST_LENGTH) return refuse(framing, Scan.ambiguous, 'Content-Length is empty or has more than 15 digits');
  if (hasTabBehind(bytes, end)) return refuse(framing, Scan.ambiguous, 'a tab behind Content-Length');
  let length = 0;
  for (let p = start; p < end; p++) {
    const digit = bytes[p] - 0x30;
    if (digit < 0 || digit > 9) return refuse(framing, Scan.ambiguous, 'Content-Length is not one decimal number');
    length = length * 10 + digit;
  }
  framing.contentLength = length;
  return Scan.complete;
}

function noteTransferEncoding(framing: Framing, start: number, end: number): ScanResult {
  if (framing.chunked) return refuse(framing, Scan.ambiguous, 'more than one Transfer-Encoding field');
  if (!isWord(framing.bytes, start, end, CHUNKED) || hasTabBehind(framing.bytes, end))
    return refuse(framing, Scan.ambiguous, 'a Transfer-Encoding other than chunked');
  if (framing.minorVersion === 0) return refuse(framing, Scan.ambiguous, 'Transfer-Encoding in an HTTP/1.0 message');
  if (framing.contentLength >= 0) return refuse(framing, Scan.ambiguous, 'both Content-Length and Transfer-Encoding');
  framing.chunked = true;
  return Scan.complete;
}

function noteConnection(framing: Framing, start: number, end: number): void {
  const { bytes } = framing;
  for (let p = start; p < end; ) {
    let optionEnd = p;
    while (optionEnd < end && bytes[optionEnd] !== COMMA) optionEnd++;
    let from = p;
    let to = optionEnd;
    while (from < to && (bytes[from] === SPACE || bytes[from] === TAB)) from++;
    while (to > from && (bytes[to - 1] === SPACE || bytes[to - 1] === TAB)) to--;
    if (isWord(bytes, from, to, CLOSE)) framing.connectionClose = true;
    else if (isWord(bytes, from, to, KEEP_ALIVE)) framing.connectionKeepAlive = true;
    else if (isWord(bytes, from, to, UPGRADE)) framing.connectionUpgrade = true;
    else if (from < to) framing.nominatesFields = true;
    p = optionEnd + 1;
  }
}

/** Readers differ about a tab behind a value that frames; a space they all take away (RFC 9110 §5.5). */
function hasTabBehind(bytes: Buffer, end: number): boolean {
  let p = end;
  while (bytes[p] === SPACE) p++;
  return bytes[p] === TAB;
}

/** Whether `bytes[start, end)` is that word, which is given in lower case, in any case. */
function isWord(bytes: Buffer, start: number, end: number, word: Buffer): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (lowerToken[bytes[start + i]] !== word[i]) return false;
  return true;
}
