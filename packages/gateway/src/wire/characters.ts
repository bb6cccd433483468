/** Bytes the wire compares against (ASCII). */
export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const BACKSLASH = 0x5c;

const TOKEN_PUNCTUATION = "!#$%&'*+-.^_`|~";

/** For a byte that may be part of a token (RFC 9110 §5.6.2) its lower-case form, 0 for every other byte. */
export const lowerToken = new Uint8Array(256);
/** 1 for a byte that may be part of a field value: HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5). Never CR, LF, NUL, DEL or another control. */
export const fieldValue = new Uint8Array(256);
/** 1 for a byte that may be part of a request target as a whole: VCHAR. Raw non-ASCII is refused, as Node's strict parser does. */
export const targetByte = new Uint8Array(256);
/** The value of a hexadecimal digit plus one, 0 for every other byte. */
export const hexDigit = new Uint8Array(256);

for (let byte = 0; byte < 256; byte++) {
  const character = String.fromCharCode(byte);
  if (/[0-9a-z]/i.test(character) || TOKEN_PUNCTUATION.includes(character)) lowerToken[byte] = character.toLowerCase().charCodeAt(0);
  if (byte === TAB || (byte >= SPACE && byte !== 0x7f)) fieldValue[byte] = 1;
  if (byte > SPACE && byte < 0x7f) targetByte[byte] = 1;
  if (/[0-9a-f]/i.test(character)) hexDigit[byte] = Number.parseInt(character, 16) + 1;
}
