import { Secret } from '@sallyport/sdk';
import { didYouMean, nearestWords } from '../nearest-word.js';
import { nameProblem, valueProblem } from './header-field.js';
import { type JsonValue, parseJson } from './json-document.js';

/** What one vendor gets. */
export interface VendorCredential {
  readonly header: string;
  readonly value: Secret;
  readonly ttlMs: number;
}

/** A whole file. */
export interface CredentialsFile {
  readonly vendors: ReadonlyMap<string, VendorCredential>;
  /** What is allowed and probably not meant, each with its place. */
  readonly warnings: readonly string[];
  /** What is wrong, each with its place; the vendors are to be used only when there is nothing. */
  readonly problems: readonly string[];
}

type Members = ReadonlyMap<string, JsonValue>;
type Say = (member: string, message: string) => void;

const TYPES = ['bearer', 'api_key', 'basic'] as const;
const MEMBERS = ['auth_type', 'token', 'header_name', 'username', 'password', 'ttl_minutes'];
const DEFAULT_MINUTES = 60;
const MOST_MINUTES = 366 * 24 * 60;

/** Reads the text of a credentials file. Throws `JsonProblem` for a text that is no JSON; everything else is in the problems. */
export function readEntries(text: string): CredentialsFile {
  const document = parseJson(text);
  const vendors = new Map<string, VendorCredential>();
  const warnings: string[] = [];
  const problems: string[] = [];
  const all = isObject(document) ? document.get('vendors') : undefined;
  if (isObject(document)) problems.push(...unknownMembers(document, ['vendors']).map(([name, near]) => `$${pathOf(name)}: unknown key${near}`));
  if (all === undefined) problems.push('$.vendors: is missing');
  else if (!isObject(all)) problems.push('$.vendors: is not an object');
  for (const [vendor, entry] of isObject(all) ? all : []) {
    const place = `$.vendors${pathOf(vendor)}`;
    const complain: Say = (member, message) => problems.push(`${place}${member === '' ? '' : pathOf(member)}: ${message}`);
    const warn: Say = (member, message) => warnings.push(`${place}${pathOf(member)}: ${message}`);
    if (vendor === '') complain('', 'a vendor has no name');
    if (!isObject(entry)) complain('', 'is not an object');
    const credential = isObject(entry) ? readEntry(entry, complain, warn) : null;
    if (credential !== null) vendors.set(vendor, credential);
  }
  return { vendors, warnings, problems };
}

function readEntry(entry: Members, complain: Say, warn: Say): VendorCredential | null {
  for (const [name, near] of unknownMembers(entry, MEMBERS)) complain(name, `unknown key${near}`);
  const type = typeOf(entry, complain);
  const minutes = minutesOf(entry, complain);
  const header = headerOf(entry, type, complain, warn);
  const value = fieldValueOf(entry, type, complain, warn);
  return value === null ? null : { header, value: new Secret(value), ttlMs: minutes * 60_000 };
}

function typeOf(entry: Members, complain: Say): (typeof TYPES)[number] | null {
  const written = textOf(entry, 'auth_type', complain);
  const type = TYPES.find((one) => one === written);
  if (type !== undefined) return type;
  if (written === '') complain('auth_type', `is missing; one of ${TYPES.join(', ')}`);
  else if (written !== null)
    complain('auth_type', `${JSON.stringify(written.slice(0, 64))} is not one of ${TYPES.join(', ')}${didYouMean(nearestWords(written, TYPES))}`);
  return null;
}

function minutesOf(entry: Members, complain: Say): number {
  const written = entry.get('ttl_minutes') ?? null;
  // 0 is what a program writes that has nothing to say.
  if (written === null || written === 0) return DEFAULT_MINUTES;
  if (typeof written === 'number' && Number.isInteger(written) && written > 0 && written <= MOST_MINUTES) return written;
  complain('ttl_minutes', `is not a whole number from 1 to ${MOST_MINUTES}`);
  return DEFAULT_MINUTES;
}

function headerOf(entry: Members, type: string | null, complain: Say, warn: Say): string {
  const written = textOf(entry, 'header_name', complain) ?? '';
  if (type !== 'api_key') {
    if (written !== '') warn('header_name', `has no effect: ${type ?? 'this type'} always goes into Authorization`);
    return 'Authorization';
  }
  const problem = written === '' ? null : nameProblem(written);
  if (problem !== null) complain('header_name', problem);
  return written === '' ? 'X-API-Key' : written;
}

/** The value of the header field; null when something about it is wrong, which has been said then. */
function fieldValueOf(entry: Members, type: string | null, complain: Say, warn: Say): string | null {
  const token = textOf(entry, 'token', complain);
  const username = textOf(entry, 'username', complain);
  const password = textOf(entry, 'password', complain);
  if (type === null || token === null || username === null || password === null) return null;
  const parts = username !== '' || password !== '';
  if (parts && type !== 'basic') {
    complain(username === '' ? 'password' : 'username', `belongs to the type basic, not to ${type}`);
    return null;
  }
  if (parts) return basicOf(username, password, token, complain);
  const problem = token === '' ? `is missing${type === 'basic' ? '; a token, or username and password' : ''}` : valueProblem(token);
  if (problem !== null) {
    complain('token', problem);
    return null;
  }
  if (type === 'basic' && !isUserAndPassword(token)) warn('token', 'is not the Base64 of a user name, a colon and a password');
  if (type === 'bearer' && /^bearer /i.test(token)) warn('token', 'begins with "Bearer ", which is added anyway');
  return type === 'api_key' ? token : `${type === 'basic' ? 'Basic' : 'Bearer'} ${token}`;
}

/** RFC 7617: UTF-8, and no colon in the user name, since the first one ends it. */
function basicOf(username: string, password: string, token: string, complain: Say): string | null {
  if (token !== '') complain('token', 'is there besides username and password; leave one of the two out');
  if (username.includes(':')) complain('username', 'holds a colon');
  if (/[\x00-\x1f\x7f]/.test(username + password)) complain('password', 'there are control characters in it or in the user name');
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function isUserAndPassword(token: string): boolean {
  const bytes = Buffer.from(token, 'base64');
  return bytes.toString('base64').replace(/=+$/, '') === token.replace(/=+$/, '') && bytes.includes(':');
}

/** The text under the name; empty when there is none, null when it is something else, which has been said then. */
function textOf(entry: Members, name: string, complain: Say): string | null {
  const value = entry.get(name) ?? '';
  if (typeof value === 'string') return value;
  complain(name, 'is not a text');
  return null;
}

function unknownMembers(object: Members, known: readonly string[]): (readonly [string, string])[] {
  return [...object.keys()].filter((name) => !known.includes(name)).map((name) => [name, didYouMean(nearestWords(name, known))] as const);
}

function isObject(value: JsonValue | undefined): value is Members {
  return value instanceof Map;
}

function pathOf(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(name) && name.length <= 64 ? `.${name}` : `[${JSON.stringify(name.slice(0, 64))}]`;
}
