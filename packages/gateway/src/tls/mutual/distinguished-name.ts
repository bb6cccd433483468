import { SallyportError } from '@sallyport/sdk';
import { elements, TAG } from '../der.js';

/** A distinguished name as a list of relative names in the order it was written in, each in one canonical form. Compared with `sameName`. */
export type DistinguishedName = readonly string[];

/** What RFC 4514 §3 and OpenSSL call the attributes that are in use; every other one is written as its object identifier. */
const TYPES: Readonly<Record<string, string>> = {
  cn: '2.5.4.3',
  sn: '2.5.4.4',
  serialnumber: '2.5.4.5',
  c: '2.5.4.6',
  l: '2.5.4.7',
  st: '2.5.4.8',
  street: '2.5.4.9',
  o: '2.5.4.10',
  ou: '2.5.4.11',
  title: '2.5.4.12',
  businesscategory: '2.5.4.15',
  postalcode: '2.5.4.17',
  gn: '2.5.4.42',
  dnqualifier: '2.5.4.46',
  organizationidentifier: '2.5.4.97',
  uid: '0.9.2342.19200300.100.1.1',
  dc: '0.9.2342.19200300.100.1.25',
  emailaddress: '1.2.840.113549.1.9.1',
  e: '1.2.840.113549.1.9.1',
};

const OBJECT_IDENTIFIER = /^[0-2](\.(0|[1-9][0-9]{0,9})){1,16}$/;
const LONGEST = 2_048;

/**
 * True when both names hold the same attributes with the same values, in the same order or in the opposite one: RFC 4514 writes a name from its
 * last part to its first, most tools the other way round. Values are compared byte for byte.
 */
export function sameName(left: DistinguishedName, right: DistinguishedName): boolean {
  const last = right.length - 1;
  if (left.length !== right.length) return false;
  return left.every((part, index) => part === right[index]) || left.every((part, index) => part === right[last - index]);
}

/**
 * Reads a name as RFC 4514 writes it, `CN=platform,O=Acme\, Inc.`; spaces around the separators and values in quotation marks are fine.
 * Throws `config_invalid` with what is wrong and the column.
 */
export function parseDistinguishedName(text: string): DistinguishedName {
  if (text.length > LONGEST) throw invalid(1, `a name is at most ${LONGEST} characters long`);
  if (text.startsWith('/')) throw invalid(1, 'write the parts with commas between them, as in CN=platform,O=Acme');
  const names: string[] = [];
  let pairs: string[] = [];
  for (let at = 0; ; ) {
    const type = readType(text, at);
    const { value, end } = readValue(text, type.end);
    pairs.push(pairText(type.oid, value));
    const separator = text[end];
    if (separator !== '+') {
      names.push(relativeName(pairs));
      pairs = [];
    }
    if (separator === undefined) return names;
    at = end + 1;
  }
}

/** The name in a DER encoded `Name` (RFC 5280 §4.1.2.4). Throws a RangeError when it is none. */
export function readName(der: Buffer): DistinguishedName {
  const [sequence] = elements(der);
  return elements(sequence.content).map(({ content }) =>
    relativeName(
      elements(content).map((pair) => {
        const [type, value] = elements(pair.content);
        return pairText(dotted(type.content), stringValue(value.tag, value.content));
      }),
    ),
  );
}

/** The dotted form of the content of an OBJECT IDENTIFIER. */
export function dotted(content: Buffer): string {
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const octet of content) {
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    if (octet < 0x80) {
      arcs.push(arc);
      arc = 0n;
    }
  }
  const first = arcs.shift() ?? 0n;
  const root = first < 80n ? first / 40n : 2n;
  return [root, first - root * 40n, ...arcs].join('.');
}

/** JSON keeps the parts apart whatever a value holds. */
function pairText(oid: string, value: string): string {
  return JSON.stringify([oid, value]);
}

function relativeName(pairs: readonly string[]): string {
  return [...pairs].sort().join('+');
}

function readType(text: string, start: number): { oid: string; end: number } {
  const equals = text.indexOf('=', start);
  const written = text.slice(start, equals < 0 ? text.length : equals).trim();
  const oid = OBJECT_IDENTIFIER.test(written) ? written : Object.hasOwn(TYPES, written.toLowerCase()) ? TYPES[written.toLowerCase()] : undefined;
  if (equals < 0 || oid === undefined) {
    throw invalid(start + 1, 'expected an attribute such as CN, O, OU, C or an object identifier, then "=" and its value');
  }
  return { oid, end: equals + 1 };
}

function readValue(text: string, start: number): { value: string; end: number } {
  let at = start;
  while (text[at] === ' ') at++;
  const quoted = text[at] === '"';
  if (quoted) at++;
  if (!quoted && text[at] === '#') throw invalid(at + 1, 'a value in hexadecimal form is not supported');
  const octets: number[] = [];
  // Spaces at the end count only when they are escaped.
  let kept = 0;
  let closed = false;
  for (; at < text.length; at++) {
    const character = text[at];
    if (character === '\\') {
      const { bytes, length } = readEscape(text, at + 1);
      octets.push(...bytes);
      at += length;
      kept = octets.length;
    } else if (quoted ? character === '"' : character === ',' || character === '+') {
      closed = quoted;
      break;
    } else if (!quoted && /["<>;]/.test(character)) {
      throw invalid(at + 1, `put a backslash in front of ${character}`);
    } else {
      const code = text.codePointAt(at) as number;
      octets.push(...Buffer.from(String.fromCodePoint(code), 'utf8'));
      if (code > 0xffff) at++;
      if (quoted || character !== ' ') kept = octets.length;
    }
  }
  if (quoted) {
    if (!closed) throw invalid(start + 1, 'the quotation mark is never closed');
    for (at++; text[at] === ' '; ) at++;
    if (at < text.length && text[at] !== ',' && text[at] !== '+') throw invalid(at + 1, 'expected a comma after the quotation mark');
  }
  if (kept === 0) throw invalid(start + 1, 'the value is empty');
  return { value: decode(octets.slice(0, kept), start), end: at };
}

function readEscape(text: string, at: number): { bytes: readonly number[]; length: number } {
  const pair = text.slice(at, at + 2);
  if (/^[0-9a-f]{2}$/i.test(pair)) return { bytes: [Number.parseInt(pair, 16)], length: 2 };
  const character = text[at] ?? '';
  if (character === '' || !' "#+,;<=>\\'.includes(character))
    throw invalid(at, 'after a backslash comes a special character or two hexadecimal digits');
  return { bytes: [character.charCodeAt(0)], length: 1 };
}

function decode(octets: readonly number[], start: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(octets));
  } catch {
    throw invalid(start + 1, 'the escaped octets are not UTF-8');
  }
}

/** The text of a DirectoryString or one of the types that are used in its place; any other value as its octets, which equal no text. */
function stringValue(tag: number, content: Buffer): string {
  switch (tag) {
    case TAG.utf8String:
    case 0x12:
    case 0x13:
    case 0x16:
      return content.toString('utf8');
    case 0x14:
      return content.toString('latin1');
    case 0x1e:
      return content.length % 2 === 0 ? Buffer.from(content).swap16().toString('utf16le') : `#${content.toString('hex')}`;
    default:
      return `#${tag.toString(16)}:${content.toString('hex')}`;
  }
}

function invalid(column: number, what: string): SallyportError {
  return new SallyportError('config_invalid', { detail: `column ${column}: ${what}`, members: { column } });
}
