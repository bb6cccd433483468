import { isIP } from 'node:net';
import type { GeneralNameType, X509Certificate as ParsedCertificate, Pkcs10CertificateRequest } from '@peculiar/x509';
import { SallyportError } from '@sallyport/sdk';
import { formatIp, parseIp } from '../../policy/ip-address.js';
import { x509Library } from './x509-library.js';

/** A subject alternative name (RFC 5280 §4.2.1.6), canonical: DNS names in lower case, addresses as `formatIp` writes them. */
export interface AlternativeName {
  readonly type: GeneralNameType;
  readonly value: string;
}

const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';
const MOST_NAMES = 100;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The names for a certificate from what a person listed: DNS names (RFC 1123, no wildcards) and IP addresses, each once. Blank entries are passed
 * over. Throws `certificate_name_invalid` with the entry and what is wrong with it, also when nothing or more than 100 names are left.
 */
export function readNames(entries: readonly string[]): AlternativeName[] {
  const found = new Map<string, AlternativeName>();
  for (const entry of entries) {
    const text = entry.trim();
    if (text === '') continue;
    const name = readName(text);
    found.set(nameText(name), name);
  }
  if (found.size === 0) throw invalid('No name is given; a certificate without names fits no host.');
  if (found.size > MOST_NAMES) throw invalid(`There are ${found.size} names; a certificate may have ${MOST_NAMES}.`);
  return [...found.values()];
}

/** The names in a certificate or request; none when it has no such extension. Throws what the library throws when they cannot be read. */
export async function namesIn(source: ParsedCertificate | Pkcs10CertificateRequest): Promise<AlternativeName[]> {
  const extension = source.getExtension(SUBJECT_ALTERNATIVE_NAME);
  if (extension === null) return [];
  const { SubjectAlternativeNameExtension } = await x509Library();
  return new SubjectAlternativeNameExtension(extension.rawData).names.items.map(({ type, value }) => canonical(type, value));
}

/** Those of `wanted` that are not among `present`, as texts such as `dns:proxy.example.com`. */
export function missingNames(wanted: readonly AlternativeName[], present: readonly AlternativeName[]): string[] {
  const there = new Set(present.map(nameText));
  return wanted.map(nameText).filter((name) => !there.has(name));
}

/** A name for people: `dns:proxy.example.com`, `ip:10.1.2.3`. */
export function nameText({ type, value }: AlternativeName): string {
  return `${type}:${value}`;
}

function canonical(type: GeneralNameType, value: string): AlternativeName {
  if (type === 'dns') return { type, value: value.toLowerCase() };
  const address = type === 'ip' ? parseIp(value) : null;
  return { type, value: address === null ? value : formatIp(address) };
}

function readName(text: string): AlternativeName {
  const address = parseIp(text);
  if (address !== null) return { type: 'ip', value: formatIp(address) };
  const name = text.toLowerCase();
  const problem = problemWith(name);
  if (problem !== null) throw invalid(`${JSON.stringify(text)} is neither a DNS name nor an IP address: ${problem}.`);
  return { type: 'dns', value: name };
}

function problemWith(name: string): string | null {
  if (isIP(name) !== 0) return 'an address in a certificate has no zone';
  if (name.includes('*')) return 'with a wildcard, whoever has the key could speak for every host below it; list the hosts one by one';
  if (name.includes('://')) return 'give the host alone, without a scheme';
  if (name.length > 253) return `it has ${name.length} characters, and 253 are the most`;
  if (name.endsWith('.')) return 'leave out the dot at the end';
  if (!/^[\x21-\x7e]*$/.test(name)) return 'write international names in their ASCII form (xn--…)';
  const labels = name.split('.');
  const label = labels.find((each) => !LABEL.test(each));
  if (label === '') return 'there is nothing between two dots';
  if (label !== undefined) return `the label ${JSON.stringify(label)} must be 1 to 63 letters, digits and hyphens, with no hyphen at either end`;
  // Clients read a name that ends in a number as an IPv4 address, and refuse one that is none (WHATWG URL §3.5).
  return /^[0-9]+$/.test(labels[labels.length - 1]) ? 'it ends in a number as an IP address does' : null;
}

function invalid(detail: string): SallyportError {
  return new SallyportError('certificate_name_invalid', { detail });
}
