import { lowerToken } from './characters.js';

/**
 * Header field names as small integers. The wire gives each field of a message the id of its name, so that every later question
 * («is this hop-by-hop», «did we inject it») is an array lookup and no string is made. 0 means a name that nobody registered.
 * Names come from this file and from the configuration, never from traffic, so the table cannot be made to grow from outside.
 */
const SLOTS = 4096;
const MOST_NAMES = 2048;
const slots = new Uint16Array(SLOTS);
const names: string[] = [''];
const nameBytes: Uint8Array[] = [new Uint8Array(0)];

/** One past the highest id there can be: the size for arrays that are indexed by id. */
const FIELD_IDS = MOST_NAMES + 1;

/** The hash that the scanner computes as it walks over a name: `hash = nextHash(hash, lowerCaseByte)`, starting from 0. */
export function nextHash(hash: number, lowerCaseByte: number): number {
  return (Math.imul(hash, 31) + lowerCaseByte) | 0;
}

function slotOf(hash: number, length: number): number {
  return (hash ^ (hash >>> 12) ^ Math.imul(length, 0x9e5)) & (SLOTS - 1);
}

/** The id of a field name given in any case, registered if it is new. Throws when the table is full or the name is not a token. */
export function fieldId(name: string): number {
  const lower = name.toLowerCase();
  // In UTF-8 no character beyond ASCII has a byte that looks like a token.
  const bytes = Buffer.from(lower, 'utf8');
  if (lower === '' || bytes.some((byte) => lowerToken[byte] === 0)) throw new RangeError(`not a header field name: ${JSON.stringify(name)}`);
  let hash = 0;
  for (const byte of bytes) hash = nextHash(hash, byte);
  const known = lookUpField(bytes, 0, bytes.length, hash);
  if (known !== 0) return known;
  if (names.length > MOST_NAMES) throw new RangeError(`more than ${MOST_NAMES} header field names`);
  let slot = slotOf(hash, bytes.length);
  while (slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
  slots[slot] = names.length;
  nameBytes.push(bytes);
  return names.push(lower) - 1;
}

/** The lower-case name behind an id; the empty string for 0. */
export function fieldName(id: number): string {
  return names[id] ?? '';
}

/** The id for the name at `bytes[start, end)` whose hash the scanner has at hand; 0 when it is not registered. */
export function lookUpField(bytes: Uint8Array, start: number, end: number, hash: number): number {
  const length = end - start;
  for (let slot = slotOf(hash, length); ; slot = (slot + 1) & (SLOTS - 1)) {
    const id = slots[slot];
    if (id === 0) return 0;
    const candidate = nameBytes[id];
    if (candidate.length === length && sameName(candidate, bytes, start)) return id;
  }
}

function sameName(candidate: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < candidate.length; i++) {
    if (candidate[i] !== lowerToken[bytes[start + i]]) return false;
  }
  return true;
}

/** A set of field ids, as flat as an array lookup: `set[id] === 1`. */
export type FieldSet = Uint8Array;

/** The set of the given names. */
export function fieldSet(fieldNames: Iterable<string>): FieldSet {
  const set = new Uint8Array(FIELD_IDS);
  for (const name of fieldNames) set[fieldId(name)] = 1;
  return set;
}

/** Ids of the names that the wire itself reads. The first eight decide framing and routing: keep them first. */
export const Field = {
  host: fieldId('host'),
  contentLength: fieldId('content-length'),
  transferEncoding: fieldId('transfer-encoding'),
  connection: fieldId('connection'),
  upgrade: fieldId('upgrade'),
  expect: fieldId('expect'),
  te: fieldId('te'),
  trailer: fieldId('trailer'),
  keepAlive: fieldId('keep-alive'),
  proxyConnection: fieldId('proxy-connection'),
  proxyAuthorization: fieldId('proxy-authorization'),
  proxyAuthenticate: fieldId('proxy-authenticate'),
  authorization: fieldId('authorization'),
  contentEncoding: fieldId('content-encoding'),
  xRequestId: fieldId('x-request-id'),
} as const;

/** The highest id that `Head` looks into while it scans. */
export const LAST_FRAMING_FIELD = Field.expect;

/** Names that end at each hop in any part of a message (RFC 9110 §7.6.1), and those that we write ourselves. */
const perHop = [
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'te',
  'trailer',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
];

/** Fields that are never copied from one side to the other. `Connection` may nominate more for a single message. */
export const hopByHopFields: FieldSet = fieldSet([...perHop, 'proxy-authentication-info', 'http2-settings']);

/**
 * Fields that a trailer section may not hold (RFC 9110 §6.5.1): framing, routing, request modifiers, authentication,
 * response control data and how to read the content.
 */
export const forbiddenTrailers: FieldSet = fieldSet([
  ...perHop,
  'authorization',
  'www-authenticate',
  'cookie',
  'set-cookie',
  'expect',
  'max-forwards',
  'cache-control',
  'range',
  'content-encoding',
  'content-type',
  'content-range',
]);
