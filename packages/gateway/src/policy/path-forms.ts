/** How often a path is percent-decoded. Whatever is still encoded after that is no honest path. */
const ROUNDS = 3;

/**
 * The forms in which a path has to be judged, because servers differ in how they read one. A clean path (no `%`, `//`, `.` or `..` segment, `\`, `;`,
 * control or non-ASCII character) is its only form. Any other has three, always in this order, equal ones included:
 *
 * 0. as sent;
 * 1. normalised, with an encoded slash kept as `%2F` inside its segment;
 * 2. normalised, with an encoded slash taken as a separator.
 *
 * Normalised means: percent-decoded up to three times (one character per byte), `\` as `/`, `;params` cut from each segment, slashes collapsed.
 * Null when the path is ambiguous: in some decoded form it has a dot segment, a control character or an overlong UTF-8 sequence,
 * or an escape is malformed, or escapes are left after three rounds. A `%` that appears only by decoding is a literal percent sign.
 */
export function pathForms(path: string): readonly string[] | null {
  if (isCleanPath(path)) return [path];
  if (/%(?![0-9a-fA-F]{2})/.test(path)) return null;
  let kept = path;
  let split = path;
  for (let round = 0; round < ROUNDS; round++) {
    if (isHostile(split)) return null;
    kept = decode(kept, true);
    split = decode(split, false);
  }
  if (isHostile(split) || ESCAPE.test(split)) return null;
  return [path, normalise(kept), normalise(split)];
}

/** True when a path reads the same for every server; one pass without allocation, as nearly every path is clean. */
export function isCleanPath(path: string): boolean {
  const length = path.length;
  let segmentStart = 1;
  for (let i = 1; i <= length; i++) {
    const code = i === length ? SLASH : path.charCodeAt(i);
    if (code === SLASH) {
      const size = i - segmentStart;
      if (size === 0 && i !== length) return false;
      if ((size === 1 || size === 2) && path.charCodeAt(segmentStart) === DOT && path.charCodeAt(i - 1) === DOT) return false;
      segmentStart = i + 1;
    } else if (code === PERCENT || code === BACKSLASH || code === SEMICOLON || code <= 0x20 || code >= 0x7f) {
      return false;
    }
  }
  return path.charCodeAt(0) === SLASH;
}

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const BACKSLASH = 0x5c;
const SEMICOLON = 0x3b;

const ESCAPE = /%[0-9a-fA-F]{2}/;
const DOT_SEGMENT = /(?:^|[/\\])\.{1,2}(?:[/\\;]|$)/;
const CONTROL = /[\x00-\x1f\x7f]/;
// Two- to four-byte spellings of characters that have a shorter one: lenient decoders read `%C0%AF` as a slash.
const OVERLONG = /[\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]/;
// `%u002e`, a way to write UTF-16 that some servers still read.
const UNICODE_ESCAPE = /%u[0-9a-f]{4}/i;

function isHostile(path: string): boolean {
  return DOT_SEGMENT.test(path) || CONTROL.test(path) || OVERLONG.test(path) || UNICODE_ESCAPE.test(path);
}

function decode(path: string, keepSlash: boolean): string {
  return path.replace(/%([0-9a-fA-F]{2})/g, (written, hex: string) => {
    const code = Number.parseInt(hex, 16);
    return code === SLASH && keepSlash ? written.toUpperCase() : String.fromCharCode(code);
  });
}

function normalise(path: string): string {
  return path
    .replaceAll('\\', '/')
    .replace(/;[^/]*/g, '')
    .replace(/\/{2,}/g, '/');
}
