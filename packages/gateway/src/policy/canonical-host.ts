import { isIPv4, isIPv6 } from 'node:net';
import { domainToASCII, domainToUnicode } from 'node:url';
import { SallyportError } from '@sallyport/sdk';
import { formatIp, parseIp } from './ip-address.js';

/** A host in the one spelling that is compared, resolved and dialed. */
export interface CanonicalHost {
  readonly kind: 'name' | 'ipv4' | 'ipv6';
  /** A lower-case ASCII name without trailing dot, a dotted quad, or RFC 5952 without brackets. */
  readonly text: string;
}

const DOT = 0x2e;

/**
 * Reads a host as the stack that dials it would, and answers its canonical spelling: lower case, one trailing dot removed, IDN in ASCII form
 * (underscores are fine), legacy IPv4 (`0177.1`, `0x7f000001`, `2130706433`) as the dotted quad it stands for (WHATWG URL §3.5),
 * IPv6 with or without brackets in RFC 5952 form. An IPv4-mapped address stays IPv6.
 * Throws `target_invalid` with a sentence that names what is wrong and never repeats what may be userinfo.
 */
export function canonicalHost(text: string): CanonicalHost {
  // Nearly every request names a host that is canonical already, and this runs once for each of them.
  if (isCanonicalName(text)) return { kind: 'name', text };
  if (isIPv4(text)) return { kind: 'ipv4', text };
  if (text === '') throw invalid('The host is empty.');
  if (text.includes('@')) throw invalid('The host holds an "@": a target may not carry a user name or password.');
  if (text.startsWith('[') || text.includes(':')) return readIpv6(text);
  return readName(text);
}

/** The host as it stands in a URL or a Host header: IPv6 in brackets, everything else as it is. */
export function hostForUrl(host: CanonicalHost): string {
  return host.kind === 'ipv6' ? `[${host.text}]` : host.text;
}

/**
 * Reads `host`, `host:port` and `[v6]:port` (RFC 3986 §3.2 without userinfo). The port is one to five decimal digits, 1–65535, null when absent.
 * Throws `target_invalid`, also for an empty port and for IPv6 without brackets, where address and port cannot be told apart.
 */
export function parseAuthority(text: string): { host: CanonicalHost; port: number | null } {
  if (text.includes('@')) throw invalid('The authority holds an "@": a target may not carry a user name or password.');
  const hostEnd = text.startsWith('[') ? text.indexOf(']') + 1 : text.indexOf(':');
  if (hostEnd === 0 && text.startsWith('[')) throw invalid('The authority opens a bracket and never closes it.');
  if (hostEnd === -1 || hostEnd === text.length) return { host: canonicalHost(text), port: null };
  const after = text.slice(hostEnd);
  if (!after.startsWith(':')) throw invalid('The authority has something other than ":port" after the bracket.');
  if (after.includes(':', 1)) throw invalid('The authority has several colons: an IPv6 address needs brackets, as in [::1]:443.');
  return { host: canonicalHost(text.slice(0, hostEnd)), port: parsePort(after.slice(1)) };
}

/** A port written as one to five decimal digits, 1–65535. Throws `target_invalid` for anything else. */
export function parsePort(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw invalid(`The port ${shown(text)} is not a number from 1 to 65535.`);
  return port;
}

/** One pass: lower-case letters, digits, `-`, `_`; labels of 1–63; at most 253; nothing that may be an IPv4 spelling or an IDN label. */
function isCanonicalName(text: string): boolean {
  const length = text.length;
  if (length > 253) return false;
  let labelStart = 0;
  let lastLabel = 0;
  for (let i = 0; i <= length; i++) {
    const code = i === length ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (i === labelStart || i - labelStart > 63) return false;
      lastLabel = labelStart;
      labelStart = i + 1;
    } else if (!((code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f)) {
      return false;
    }
  }
  const first = text.charCodeAt(lastLabel);
  return (first < 0x30 || first > 0x39) && !text.includes('xn--');
}

function readIpv6(text: string): CanonicalHost {
  const bracketed = text.startsWith('[');
  if (bracketed !== text.endsWith(']')) throw invalid('The host has one bracket of two.');
  const inner = bracketed ? text.slice(1, -1) : text;
  if (inner.includes('%')) throw invalid('The IPv6 address carries a zone id, which has no meaning outside this machine.');
  const bytes = isIPv6(inner) ? parseIp(inner) : null;
  if (bytes === null) throw invalid(`The host ${shown(text)} is not a valid IPv6 address.`);
  return { kind: 'ipv6', text: formatIp(bytes) };
}

function readName(text: string): CanonicalHost {
  for (const character of text) {
    if (character < '\u0080' && !/[A-Za-z0-9._-]/.test(character)) throw invalid(`The host holds ${named(character)}, which no host name can have.`);
  }
  // No spelling becomes shorter by encoding, so a longer one need not be encoded to be refused.
  if (text.length > 254) throw invalid(`The host has ${text.length} characters; a name has at most 253.`);
  const isPlain = /^[A-Za-z0-9._-]*$/.test(text) && !/(?:^|\.)xn--/i.test(text);
  const ascii = isPlain ? text.toLowerCase() : domainToASCII(text);
  if (!/^[a-z0-9._-]+$/.test(ascii)) throw invalid(`The host ${shown(text)} is not a valid international domain name.`);
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  if (name.length > 253) throw invalid(`The host has ${name.length} characters in its ASCII form; a name has at most 253.`);
  const labels = name.split('.');
  for (const label of labels) {
    if (label === '') throw invalid(`The host ${shown(text)} has an empty label.`);
    if (label.length > 63) throw invalid(`The host has a label of ${label.length} characters; a label has at most 63.`);
    // Newer versions of Node let labels through that only look like Punycode (RFC 5891 §4.2.3.1): they decode to themselves.
    if (label.startsWith('xn--') && domainToUnicode(label).startsWith('xn--')) {
      throw invalid(`The host ${shown(text)} is not a valid international domain name.`);
    }
  }
  if (!/^(?:[0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) return { kind: 'name', text: name };
  const ipv4 = readLegacyIpv4(labels);
  if (ipv4 === null) throw invalid(`The host ${shown(text)} ends in a number but is not an IPv4 address.`);
  return { kind: 'ipv4', text: ipv4 };
}

/** `inet_aton`: one to four parts, each decimal, octal or hex, the last one filling the bytes that are left. Null when it is none. */
function readLegacyIpv4(parts: readonly string[]): string | null {
  if (parts.length > 4) return null;
  let address = 0;
  for (const [i, part] of parts.entries()) {
    const value = readIpv4Part(part);
    const isLast = i === parts.length - 1;
    if (!(value < (isLast ? 256 ** (5 - parts.length) : 256))) return null;
    address += value * (isLast ? 1 : 256 ** (3 - i));
  }
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

function readIpv4Part(part: string): number {
  if (/^0x[0-9a-f]*$/.test(part)) return part === '0x' ? 0 : Number(part);
  if (/^0[0-7]*$/.test(part)) return Number.parseInt(part, 8);
  return /^[1-9][0-9]*$/.test(part) ? Number(part) : Number.NaN;
}

function named(character: string): string {
  const code = `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  if (character === ' ') return `a space (${code})`;
  return character > ' ' && character !== '\u007f' ? `"${character}" (${code})` : `a control character (${code})`;
}

/** Quoted, escaped and bounded, so that what a client sent cannot forge a line of a log. */
function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function invalid(detail: string): SallyportError {
  return new SallyportError('target_invalid', { detail });
}
