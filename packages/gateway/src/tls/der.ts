/**
 * As much DER (ITU-T X.690) as a leaf certificate needs, and a reader for the three things that it takes over from its issuer. General work on
 * certificates belongs to @peculiar/x509; this exists because minting through it takes some 30 times as long.
 */

/** Identifier octets. Context-specific ones (`context`, `contextConstructed`) depend on the field that they stand for. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The identifier octet of `[number]` IMPLICIT over a primitive type; `number` is below 31. */
export function context(number: number): number {
  return 0x80 | number;
}

/** The identifier octet of `[number]` around something constructed; `number` is below 31. */
export function contextConstructed(number: number): number {
  return 0xa0 | number;
}

/** One element: identifier, shortest definite length, and the parts one after another as its content. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(length)]), ...parts]);
}

/** A non-negative INTEGER from its big-endian magnitude of one octet or more, in the fewest octets. */
export function integer(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const shortest = magnitude.subarray(start);
  return shortest[0] >= 0x80 ? element(TAG.integer, Buffer.of(0), shortest) : element(TAG.integer, shortest);
}

/** An OBJECT IDENTIFIER from its dotted form; each arc fits 32 bits. */
export function objectIdentifier(dotted: string): Buffer {
  const [first, second, ...arcs] = dotted.split('.').map(Number);
  const octets: number[] = [];
  for (const arc of [first * 40 + second, ...arcs]) {
    const groups = [arc & 0x7f];
    for (let rest = arc >>> 7; rest > 0; rest >>>= 7) groups.unshift((rest & 0x7f) | 0x80);
    octets.push(...groups);
  }
  return element(TAG.objectIdentifier, Buffer.from(octets));
}

/** A BIT STRING of whole octets, the last of which ends in `unused` bits that do not count. */
export function bitString(octets: Uint8Array, unused = 0): Buffer {
  return element(TAG.bitString, Buffer.of(unused), octets);
}

/** A point in time (milliseconds since the epoch, cut to whole seconds) as RFC 5280 §4.1.2.5 wants it: UTCTime through 2049, GeneralizedTime from 2050. */
export function time(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().slice(0, 19).replace(/\D/g, '');
  return digits < '2050' ? element(TAG.utcTime, Buffer.from(`${digits.slice(2)}Z`)) : element(TAG.generalizedTime, Buffer.from(`${digits}Z`));
}

/** An element that was read: `raw` is all of it, `content` what is inside. Both are views of the bytes that it was read from. */
export interface DerElement {
  readonly tag: number;
  readonly content: Buffer;
  readonly raw: Buffer;
}

/** The elements that stand one after another in `der`. Throws a RangeError where one is cut short or has a length that DER does not allow. */
export function elements(der: Buffer): DerElement[] {
  const found: DerElement[] = [];
  for (let start = 0; start < der.length; ) {
    const { offset, length } = readLength(der, start + 1);
    const end = offset + length;
    if (end > der.length) throw new RangeError('A DER element runs past its end.');
    found.push({ tag: der[start], content: der.subarray(offset, end), raw: der.subarray(start, end) });
    start = end;
  }
  return found;
}

function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length];
  if (length > 0xffff) throw new RangeError('A DER element of more than 65535 octets is none of a leaf certificate.');
  return length < 0x100 ? [0x81, length] : [0x82, length >>> 8, length & 0xff];
}

function readLength(der: Buffer, at: number): { offset: number; length: number } {
  if (at >= der.length) throw new RangeError('A DER element ends before its length.');
  const first = der[at];
  if (first < 0x80) return { offset: at + 1, length: first };
  const count = first & 0x7f;
  if (count < 1 || count > 3 || at + count >= der.length) throw new RangeError('A DER element has a length that cannot be read.');
  return { offset: at + 1 + count, length: der.readUIntBE(at + 1, count) };
}
