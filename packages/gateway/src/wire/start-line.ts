import { CR, fieldValue, LF, lowerToken, SPACE, targetByte } from './characters.js';
import { refuse, Scan, type ScanResult } from './scan.js';

/** The start line of a head, as offsets into its bytes. */
export interface StartLine {
  readonly bytes: Buffer;
  /** Where the head starts. */
  readonly start: number;
  methodStart: number;
  methodEnd: number;
  /** The target of a request, the reason phrase of a response. While it arrives, `targetEnd` is how far every byte is known to be good. */
  targetStart: number;
  targetEnd: number;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  minorVersion: number;
  /** Status code of a response. */
  statusCode: number;
  /** Where the first field line starts, once the start line is complete. */
  fieldsStart: number;
  fault: string;
}

const METHOD_LENGTH = 32;
const HTTP_1 = Buffer.from('HTTP/1.', 'latin1');
/** Where in that the major version stands. */
const MAJOR = 5;
/** Of the whole version, with the minor one. */
const VERSION_LENGTH = HTTP_1.length + 1;

/** Scans a request line (RFC 9112 §3) up to `end`; to be called again with more bytes while it answers `incomplete`. */
export function scanRequestLine(line: StartLine, end: number): ScanResult {
  const { bytes } = line;
  let p = line.start;
  if (p < end && bytes[p] === CR) {
    // One empty line in front is passed over (RFC 9112 §2.2): some clients send one after the body of a POST.
    if (p + 1 >= end) return Scan.incomplete;
    if (bytes[p + 1] !== LF) return refuse(line, Scan.malformed, 'a CR that no LF follows');
    p += 2;
  }
  const methodStart = p;
  while (p < end && lowerToken[bytes[p]] !== 0) p++;
  if (p - methodStart > METHOD_LENGTH) return refuse(line, Scan.malformed, 'the method is longer than 32 bytes');
  if (p === end) return Scan.incomplete;
  if (p === methodStart || bytes[p] !== SPACE) return refuse(line, Scan.malformed, 'the request line does not start with a method and one space');
  line.methodStart = methodStart;
  line.methodEnd = p++;
  const targetStart = p;
  line.targetStart = targetStart;
  if (line.targetEnd > p) p = line.targetEnd;
  while (p < end && targetByte[bytes[p]] !== 0) p++;
  line.targetEnd = p;
  if (p === end) return Scan.incomplete;
  if (p === targetStart || bytes[p] !== SPACE) return refuse(line, Scan.malformed, 'the request target is empty or holds a byte that it may not');
  const version = scanVersion(line, p + 1, end);
  return version === Scan.complete ? scanLineEnd(line, p + 1 + VERSION_LENGTH, end) : version;
}

/** Scans a status line (RFC 9112 §4) up to `end`; to be called again with more bytes while it answers `incomplete`. */
export function scanStatusLine(line: StartLine, end: number): ScanResult {
  const { bytes } = line;
  const version = scanVersion(line, line.start, end);
  if (version !== Scan.complete) return version === Scan.incomplete ? Scan.incomplete : Scan.malformed;
  let p = line.start + VERSION_LENGTH;
  if (p >= end) return Scan.incomplete;
  if (bytes[p] !== SPACE) return refuse(line, Scan.malformed, 'no space before the status code');
  let code = 0;
  for (const codeEnd = p + 4; ++p < codeEnd; ) {
    if (p >= end) return Scan.incomplete;
    const digit = bytes[p] - 0x30;
    if (digit < 0 || digit > 9) return refuse(line, Scan.malformed, 'the status code is not three digits');
    code = code * 10 + digit;
  }
  if (code < 100) return refuse(line, Scan.malformed, 'the status code is below 100');
  line.statusCode = code;
  if (p >= end) return Scan.incomplete;
  // Servers that leave out the space before an empty reason phrase are common, and nothing can be misread.
  if (bytes[p] === SPACE) p++;
  else if (bytes[p] !== CR) return refuse(line, Scan.malformed, 'the status code is not three digits');
  line.targetStart = p;
  if (line.targetEnd > p) p = line.targetEnd;
  while (p < end && fieldValue[bytes[p]] !== 0) p++;
  line.targetEnd = p;
  return scanLineEnd(line, p, end);
}

/** `HTTP/1.0` or `HTTP/1.1` at `p`. */
function scanVersion(line: StartLine, start: number, end: number): ScanResult {
  const { bytes } = line;
  let p = start;
  for (let i = 0; i < HTTP_1.length; i++, p++) {
    if (p >= end) return Scan.incomplete;
    if (bytes[p] !== HTTP_1[i]) return refuseVersion(line, i === MAJOR && isDigit(bytes[p]));
  }
  if (p >= end) return Scan.incomplete;
  const minor = bytes[p] - 0x30;
  if (minor !== 0 && minor !== 1) return refuseVersion(line, isDigit(bytes[p]));
  line.minorVersion = minor;
  return Scan.complete;
}

function refuseVersion(line: StartLine, isVersion: boolean): ScanResult {
  return refuse(line, isVersion ? Scan.versionUnsupported : Scan.malformed, 'the version is neither HTTP/1.1 nor HTTP/1.0');
}

function scanLineEnd(line: StartLine, p: number, end: number): ScanResult {
  if (p >= end) return Scan.incomplete;
  if (line.bytes[p] !== CR) return refuse(line, Scan.malformed, 'the start line does not end in CR LF');
  if (p + 1 >= end) return Scan.incomplete;
  if (line.bytes[p + 1] !== LF) return refuse(line, Scan.malformed, 'a CR that no LF follows');
  line.fieldsStart = p + 2;
  return Scan.complete;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
