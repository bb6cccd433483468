import type { FieldSet } from '../wire/field-names.js';
import type { Head } from '../wire/head.js';
import { cutByName, cutNominated } from '../wire/head-writer.js';

const MASK = '[secret]';
const SHORTEST = 4;

/** What may not come back, and what is left out in any case. */
export interface Unwanted {
  /** Fields that the door keeps to itself. */
  readonly sensitive: FieldSet;
  /** Fields that were injected; null for none. */
  readonly injected: FieldSet | null;
  /** The same as lower-case names. */
  readonly injectedNames: readonly string[];
  /** Values that were placed into the request, Latin-1. */
  readonly placed: readonly string[];
  /** Fields that are not written to the client anyway: nothing may stand in for them. */
  readonly dropped: FieldSet;
}

/**
 * Takes out of a response head, or a trailer section, what may not come back: fields under the names that were injected, the sensitive fields of the
 * door, and values that were placed into the request, wherever the upstream echoes them, the reason phrase included. Answers the lines that stand in
 * for echoing fields.
 */
export function sanitize(head: Head, { sensitive, injected, injectedNames, placed, dropped }: Unwanted): string {
  for (let i = 0; i < head.count; i++) {
    const id = head.id[i];
    if (id !== 0 && (sensitive[id] === 1 || injected?.[id] === 1)) head.cut[i] = 1;
  }
  for (const name of injectedNames) cutByName(head, name);
  // Nearly always these searches find nothing, and the head goes on as it is.
  if (!placed.some((value) => value.length >= SHORTEST && echoes(head, value))) return '';
  // RFC 9112 §4: a reason phrase means nothing, so it goes as a whole.
  if (reasonEchoes(head, placed)) head.targetEnd = head.targetStart;
  return maskFields(head, placed, dropped);
}

function echoes(head: Head, value: string): boolean {
  return head.bytes.subarray(head.start, head.end).includes(value, 0, 'latin1');
}

function reasonEchoes(head: Head, placed: readonly string[]): boolean {
  const reason = head.bytes.subarray(head.targetStart, head.targetEnd);
  return placed.some((value) => value.length >= SHORTEST && reason.includes(value, 0, 'latin1'));
}

function maskFields(head: Head, placed: readonly string[], dropped: FieldSet): string {
  if (head.nominatesFields) cutNominated(head);
  let masked = '';
  for (let i = 0; i < head.count; i++) {
    // A length that happens to look like the secret must not be written a second time.
    if (head.cut[i] === 1 || dropped[head.id[i]] === 1) continue;
    const name = mask(head.bytes.toString('latin1', head.nameStart[i], head.nameEnd[i]), placed);
    const value = mask(head.valueAt(i), placed);
    if (name.found || value.found) head.cut[i] = 1;
    // A field whose very name is the secret is left out altogether.
    if (value.found && !name.found) masked += `${name.text}: ${value.text}\r\n`;
  }
  return masked;
}

/** Longer values first: a value may be part of another one, and the rest of that would stay behind. */
function mask(text: string, placed: readonly string[]): { text: string; found: boolean } {
  let masked = text;
  for (const value of [...placed].sort((a, b) => b.length - a.length)) {
    if (value.length >= SHORTEST) masked = masked.replaceAll(value, MASK);
  }
  return { text: masked, found: masked !== text };
}
