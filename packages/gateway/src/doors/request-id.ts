import { randomUUID } from 'node:crypto';

/** Blanks only inside: at the ends they would get lost on the way. */
const ACCEPTED = /^(?! )[A-Za-z0-9\-_.:/=+ ]{1,256}(?<! )$/;

/** The id the client sent when it is one that can be written anywhere (up to 256 of A–Z a–z 0–9 - _ . : / = + and blank), otherwise a new UUID. */
export function requestIdFrom(sent: string | null): string {
  return sent !== null && ACCEPTED.test(sent) ? sent : randomUUID();
}
