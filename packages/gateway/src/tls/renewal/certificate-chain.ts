import { type KeyObject, X509Certificate } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import { certificatePem, pemCertificates } from '../pem.js';
import { type AlternativeName, missingNames, namesIn } from './alternative-names.js';
import { x509Library } from './x509-library.js';

/** A certificate with the chain behind it, each signed by the next. */
export interface Chain {
  readonly leaf: X509Certificate;
  /** All of it as PEM blocks, the leaf first, and nothing else. */
  readonly pem: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** What a certificate that was asked for has to be. */
export interface Expected {
  /** The public half of the key that the request was made with. */
  readonly publicKey: KeyObject;
  readonly names: readonly AlternativeName[];
  /** Whether there may be further names beside those. */
  readonly furtherNames: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

const LONGEST_TEXT = 64 * 1024;
const MOST_CERTIFICATES = 10;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/**
 * Reads a certificate and its chain from PEM text of at most 64 KiB and ten certificates. Throws `certificate_unreadable`, also where the text
 * holds a private key, and `certificate_chain_invalid` where one certificate was not signed by the next.
 */
export function readChain(text: string): Chain {
  if (text.length > LONGEST_TEXT) throw unreadable(`It has ${text.length} characters, and ${LONGEST_TEXT} are the most.`);
  if (text.includes('PRIVATE KEY-----')) throw unreadable('It holds a private key, which belongs to whoever made it and to nobody else.');
  const blocks = pemCertificates(text);
  if (blocks.length === 0) throw unreadable('It holds no PEM certificate.');
  if (blocks.length > MOST_CERTIFICATES) throw unreadable(`It holds ${blocks.length} certificates, and ${MOST_CERTIFICATES} are the most.`);
  const chain = blocks.map(readBlock);
  chain.slice(1).forEach((issuer, index) => {
    requireIssued(chain[index], issuer, index + 1);
  });
  const [leaf] = chain;
  return {
    leaf,
    pem: chain.map(({ raw }) => certificatePem(raw)).join(''),
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
  };
}

/**
 * Requires that the leaf is what was asked for: for the same key, for these names, valid now (so is the chain), and not an authority. Throws
 * `certificate_key_mismatch`, `certificate_usage_wrong`, `certificate_names_mismatch`, `certificate_expired` or `certificate_unreadable`.
 */
export async function requireExpected(chain: Chain, { publicKey, names, furtherNames, now }: Expected): Promise<void> {
  const { leaf } = chain;
  if (!spki(leaf.publicKey).equals(spki(publicKey))) throw new SallyportError('certificate_key_mismatch');
  if (leaf.ca) throw wrongUsage('It is the certificate of an authority, which could sign others.');
  const present = await readable(async () => {
    const { X509Certificate: ParsedCertificate } = await x509Library();
    return namesIn(new ParsedCertificate(leaf.raw));
  });
  const missing = missingNames(names, present);
  if (missing.length > 0) throw otherNames(`It is not for ${listed(missing)}.`);
  const further = furtherNames ? [] : missingNames(present, names);
  if (further.length > 0) throw otherNames(`It is also for ${listed(further)}, which was not asked for.`);
  pemCertificates(chain.pem).forEach((block, index) => {
    requireCurrent(new X509Certificate(block), index, now);
  });
}

/** Requires that the leaf may be shown by a TLS server. Throws `certificate_usage_wrong`, or `certificate_unreadable`. */
export async function requireServerUsage({ leaf }: Chain): Promise<void> {
  // Node calls the extended key usage `keyUsage`. A certificate without one may be used for everything (RFC 5280 §4.2.1.12).
  const purposes = leaf.keyUsage as readonly string[] | undefined;
  if (purposes !== undefined && !purposes.includes(SERVER_AUTH)) throw wrongUsage('Its extended key usage does not name serverAuth.');
  const { KeyUsageFlags, KeyUsagesExtension, X509Certificate: ParsedCertificate } = await x509Library();
  const usages = await readable(() => Promise.resolve(new ParsedCertificate(leaf.raw).getExtension(KeyUsagesExtension)));
  if (usages !== null && (usages.usages & KeyUsageFlags.digitalSignature) === 0) throw wrongUsage('Its key usage does not name digitalSignature.');
}

function readBlock(block: string, index: number): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch (cause) {
    throw new SallyportError('certificate_unreadable', { detail: `The ${ordinal(index)} certificate is damaged.`, cause });
  }
}

function requireIssued(certificate: X509Certificate, issuer: X509Certificate, index: number): void {
  const problem = !issuer.ca
    ? 'stands before one that may not sign certificates'
    : !certificate.checkIssued(issuer)
      ? 'names another issuer than the one behind it'
      : !verifies(certificate, issuer)
        ? 'was not signed by the one behind it'
        : null;
  if (problem === null) return;
  throw new SallyportError('certificate_chain_invalid', { detail: `The ${ordinal(index - 1)} certificate ${problem}.` });
}

/** OpenSSL throws where key and signature are of different kinds. */
function verifies(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

function requireCurrent({ validFrom, validTo }: X509Certificate, index: number, now: number): void {
  const which = index === 0 ? 'It' : `The ${ordinal(index)} certificate of its chain`;
  if (now >= Date.parse(validTo)) throw new SallyportError('certificate_expired', { detail: `${which} expired on ${date(validTo)}.` });
  if (now < Date.parse(validFrom)) throw new SallyportError('certificate_expired', { detail: `${which} is not valid before ${date(validFrom)}.` });
}

async function readable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw new SallyportError('certificate_unreadable', {
      detail: 'An extension of the certificate is damaged, or of a kind that is not known.',
      cause,
    });
  }
}

function spki(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

function ordinal(index: number): string {
  return ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth'][index];
}

function date(text: string): string {
  return new Date(text).toISOString();
}

function unreadable(detail: string): SallyportError {
  return new SallyportError('certificate_unreadable', { detail });
}

function wrongUsage(detail: string): SallyportError {
  return new SallyportError('certificate_usage_wrong', { detail });
}

function otherNames(detail: string): SallyportError {
  return new SallyportError('certificate_names_mismatch', { detail });
}
