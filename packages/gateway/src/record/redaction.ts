/** What stands where a secret stood; the same text that a `Secret` prints. */
export const MASK = '[secret]';

/** Shorter values are not looked for: they would turn ordinary words into masks and hide nothing that cannot be guessed. */
export const SHORTEST_SECRET = 4;

/** How many characters one character of a secret may take: three bytes of UTF-8, each written as a percent sign and two digits. */
const WIDEST = 9;

/**
 * The text, or its first `limit` characters, with every occurrence of every value of four characters or more replaced by `[secret]`: as it is,
 * and written with percent signs in any spelling (RFC 3986 §2.1). Occurrences that overlap or touch become one mask; one that begins inside the
 * limit is masked even when it ends beyond. The work is bounded by the limit and the length of the secrets, not by the text.
 */
export function redactSecrets(text: string, secrets: readonly string[], limit = text.length): string {
  const start = text.slice(0, limit);
  // Nearly always there is nothing to find, and every record pays for looking.
  if (!text.includes('%') && !secrets.some((secret) => secret.length >= SHORTEST_SECRET && text.includes(secret))) return start;
  const sought = secrets.filter((secret) => secret.length >= SHORTEST_SECRET);
  if (sought.length === 0) return start;
  const seen = text.slice(0, limit + WIDEST * sought.reduce((longest, secret) => Math.max(longest, secret.length), 0));
  const spans: Span[] = [];
  for (const secret of sought) {
    // Steps by one character, not by one occurrence: occurrences of `abab` overlap in `ababab`.
    for (let at = seen.indexOf(secret); at !== -1 && at < limit; at = seen.indexOf(secret, at + 1)) spans.push([at, at + secret.length]);
  }
  if (seen.includes('%')) encodedSpans(seen, sought, spans);
  return spans.length === 0 ? start : masked(seen, spans, limit);
}

/** A stretch of the text, from the first character to the one after the last. */
type Span = readonly [from: number, to: number];

/** Adds the spans of the secrets that appear once the percent signs are decoded. */
function encodedSpans(text: string, secrets: readonly string[], spans: Span[]): void {
  const { bytes, starts } = percentDecoded(text);
  for (const secret of secrets) {
    const needle = Buffer.from(secret, 'utf8');
    for (let at = bytes.indexOf(needle); at !== -1; at = bytes.indexOf(needle, at + 1)) {
      spans.push([starts[at], starts[at + needle.length]]);
    }
  }
}

/** The bytes that the text stands for, and for each of them (and for the end) where in the text it begins. */
function percentDecoded(text: string): { bytes: Buffer; starts: readonly number[] } {
  const bytes: number[] = [];
  const starts: number[] = [];
  let index = 0;
  while (index < text.length) {
    const begin = index;
    const code = text.codePointAt(index) ?? 0;
    const encoded = code === 0x25 ? hexByte(text, index + 1) : -1;
    index += encoded >= 0 ? 3 : code > 0xffff ? 2 : 1;
    if (encoded >= 0 || code < 0x80) {
      bytes.push(encoded >= 0 ? encoded : code);
    } else {
      bytes.push(...Buffer.from(text.slice(begin, index), 'utf8'));
    }
    while (starts.length < bytes.length) starts.push(begin);
  }
  starts.push(text.length);
  return { bytes: Buffer.from(bytes), starts };
}

/** The value of two hexadecimal digits, −1 when there are none. */
function hexByte(text: string, index: number): number {
  const high = hexDigit(text.charCodeAt(index));
  const low = hexDigit(text.charCodeAt(index + 1));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/** Takes NaN, which is what the text has beyond its end. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}

function masked(text: string, spans: Span[], limit: number): string {
  spans.sort((left, right) => left[0] - right[0]);
  let result = '';
  let done = 0;
  for (const [from, to] of spans) {
    if (from >= limit) break;
    if (from > done || done === 0) result += text.slice(done, from) + MASK;
    done = Math.max(done, to);
  }
  return result + text.slice(done, Math.max(done, limit));
}
