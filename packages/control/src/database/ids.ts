import { UUID, uuidv7 } from 'uuidv7';

/**
 * A new id: the prefix of its kind, `_`, and a UUID version 7 (RFC 9562), which sorts by the time of its making: `act_0198f1c2-…`.
 * Ids of one process never repeat and never sort backwards.
 */
export function newId(prefix: string): string {
  return `${prefix}_${uuidv7()}`;
}

/** True for a well-formed id of this kind, in the one spelling that {@link newId} gives out. */
export function isId(prefix: string, text: string): boolean {
  if (!text.startsWith(`${prefix}_`)) return false;
  const rest = text.slice(prefix.length + 1);
  try {
    return UUID.parse(rest).toString() === rest;
  } catch {
    return false;
  }
}
