import { lowerToken } from './characters.js';
import { Field, type FieldSet } from './field-names.js';
import type { Head } from './head.js';

/**
 * The field lines of a head that go on to the other side, as Latin-1 text: all lines that are neither in `dropped`, nor cut, nor nominated by
 * Connection. Neighbouring lines that stay are taken over as one range, byte for byte.
 */
export function keptLines(head: Head, dropped: FieldSet): string {
  if (head.nominatesFields) cutNominated(head);
  let kept = '';
  let from = head.fieldsStart;
  let to = from;
  for (let i = 0; i < head.count; i++) {
    const lineEnd = head.lineEnd[i];
    if (dropped[head.id[i]] === 1 || head.cut[i] === 1) {
      if (to > from) kept += head.bytes.toString('latin1', from, to);
      from = lineEnd;
    }
    to = lineEnd;
  }
  return to > from ? kept + head.bytes.toString('latin1', from, to) : kept;
}

/** The trailer section that goes on: the lines that are neither in `dropped` nor cut, and the empty line. */
export function trailerSection(trailers: Head, dropped: FieldSet): string {
  trailers.fieldsStart = trailers.start;
  return `${keptLines(trailers, dropped)}\r\n`;
}

/** The start line of a response, byte for byte after the version, which is always ours. */
export function statusLine(head: Head): string {
  if (head.statusCode === 200 && head.targetIs('OK')) return 'HTTP/1.1 200 OK\r\n';
  return `HTTP/1.1 ${head.statusCode} ${head.bytes.toString('latin1', head.targetStart, head.targetEnd)}\r\n`;
}

/** True when `text` can be written into a head as a field value: no CR, LF, NUL or other control character, and nothing beyond Latin-1. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
}

/** Cuts the fields that Connection nominates (RFC 9110 §7.6.1). */
export function cutNominated(head: Head): void {
  for (let i = 0; i < head.count; i++) {
    if (head.id[i] !== Field.connection) continue;
    for (const option of head.valueAt(i).split(',')) {
      const name = option.trim().toLowerCase();
      if (name !== '') cutByName(head, name);
    }
  }
}

/** Cuts every field of that lower-case name. */
export function cutByName(head: Head, name: string): void {
  for (let i = 0; i < head.count; i++) {
    const start = head.nameStart[i];
    if (head.nameEnd[i] - start === name.length && startsWithName(head, start, name)) head.cut[i] = 1;
  }
}

/** Cuts every field whose name begins with that lower-case prefix. */
export function cutByPrefix(head: Head, prefix: string): void {
  for (let i = 0; i < head.count; i++) {
    const start = head.nameStart[i];
    if (head.nameEnd[i] - start >= prefix.length && startsWithName(head, start, prefix)) head.cut[i] = 1;
  }
}

function startsWithName(head: Head, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) if (lowerToken[head.bytes[start + i]] !== name.charCodeAt(i)) return false;
  return true;
}
