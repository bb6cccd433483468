import type { FieldSet } from '../wire/field-names.js';
import type { Head } from '../wire/head.js';

const MASK = '[secret]';
const SHORTEST = 4;

/**
 * Takes out of a response head, or a trailer section, what may not come back: fields under the names that were injected, the sensitive fields of the
 * door, and values that were placed into the request, wherever the upstream echoes them. Answers the lines that stand in for echoing fields.
 */
export function sanitize(head: Head, sensitive: FieldSet, injected: FieldSet | null, placed: readonly string[]): string {
  for (let i = 0; i < head.count; i++) {
    const id = head.id[i] as number;
    if (id !== 0 && (sensitive[id] === 1 || injected?.[id] === 1)) head.cut[i] = 1;
  }
  // Nearly always these searches find nothing, and the head goes on as it is.
  return placed.some((value) => value.length >= SHORTEST && echoes(head, value)) ? maskFields(head, placed) : '';
}

function echoes(head: Head, value: string): boolean {
  return head.bytes.subarray(head.start, head.end).includes(value, 0, 'latin1');
}

/** True when a start line carries a placed value: its reason phrase has to go. */
export function reasonEchoes(head: Head, placed: readonly string[]): boolean {
  const reason = head.bytes.subarray(head.targetStart, head.targetEnd);
  return placed.some((value) => value.length >= SHORTEST && reason.includes(value, 0, 'latin1'));
}

function maskFields(head: Head, placed: readonly string[]): string {
  let masked = '';
  for (let i = 0; i < head.count; i++) {
    if (head.cut[i] === 1) continue;
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
