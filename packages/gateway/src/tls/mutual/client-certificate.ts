import type { X509Certificate } from 'node:crypto';
import type { SallyportError } from '@sallyport/sdk';
import { formatIp } from '../../policy/ip-address.js';
import { contextConstructed, type DerElement, elements, TAG } from '../der.js';
import { type DistinguishedName, dotted, readName } from './distinguished-name.js';

/** A name that a certificate carries in its subjectAltName, in canonical form. */
export interface CertificateName {
  readonly kind: 'dns' | 'uri' | 'ip' | 'email';
  readonly value: string;
}

/** What callers are told apart by. Null where a balancer did not say it. */
export interface ClientCertificate {
  /** SHA-256 of the DER form: 64 hexadecimal digits in lower case. */
  readonly fingerprint: string | null;
  readonly subject: DistinguishedName | null;
  readonly issuer: DistinguishedName | null;
  readonly names: readonly CertificateName[];
}

/** The certificate behind a request, and whether it is still good. */
export interface PresentedCertificate {
  readonly certificate: ClientCertificate;
  /** Null while the certificate is acceptable, which is cheap to ask for every request; otherwise `client_certificate_unacceptable`. */
  refusal(): SallyportError | null;
}

/** One extension of a certificate. */
export interface Extension {
  readonly critical: boolean;
  /** The DER value. */
  readonly value: Buffer;
}

/** The parts of a certificate that Node gives no structured access to. Slices of its DER form. */
export interface CertificateFields {
  /** The content of the serial number as hexadecimal digits. */
  readonly serial: string;
  /** The `Name` of the issuer and of the subject, each whole. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly signatureAlgorithm: string;
  /** By object identifier. */
  readonly extensions: ReadonlyMap<string, Extension>;
}

const SUBJECT_ALT_NAME = '2.5.29.17';
const DNS_NAME = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
const URI = /^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/i;
const EMAIL = /^[\x21-\x3f\x41-\x7e]+@[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i;

/** Reads a certificate by its structure; nothing in it is ever split as text. Throws a RangeError when it cannot be read. */
export function certificateFields({ raw }: { readonly raw: Buffer }): CertificateFields {
  const [certificate] = elements(raw);
  const [tbs, algorithm] = elements(certificate.content);
  const fields = elements(tbs.content);
  // [0] version comes first, unless the certificate is of version 1.
  const serialAt = fields[0].tag === contextConstructed(0) ? 1 : 0;
  const found = fields.find(({ tag }) => tag === contextConstructed(3));
  return {
    serial: fields[serialAt].content.toString('hex'),
    issuer: fields[serialAt + 2].raw,
    subject: fields[serialAt + 4].raw,
    signatureAlgorithm: dotted(elements(algorithm.content)[0].content),
    extensions: found === undefined ? new Map() : readExtensions(found.content),
  };
}

/** The extensions in a DER encoded `Extensions`. Throws a RangeError when it cannot be read, or names one twice (RFC 5280 §4.2). */
export function readExtensions(der: Buffer): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  for (const { content } of elements(elements(der)[0].content)) {
    const parts = elements(content);
    const id = dotted(parts[0].content);
    if (extensions.has(id)) throw new RangeError('A certificate extension is there twice.');
    extensions.set(id, { critical: parts.length === 3 && parts[1].content[0] !== 0, value: (parts.at(-1) as DerElement).content });
  }
  return extensions;
}

/** What a certificate says of its holder. Names that cannot be one plain name (a wildcard, a control character) are left out. Throws a RangeError. */
export function clientCertificate(certificate: X509Certificate): ClientCertificate {
  const { issuer, subject, extensions } = certificateFields(certificate);
  const names = extensions.get(SUBJECT_ALT_NAME);
  return {
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    subject: readName(subject),
    issuer: readName(issuer),
    names: names === undefined ? [] : elements(elements(names.value)[0].content).flatMap(generalName),
  };
}

/** A name in canonical form; null when it cannot be one name of that kind. */
export function canonicalName(kind: 'dns' | 'uri' | 'email', text: string): CertificateName | null {
  switch (kind) {
    case 'dns': {
      const value = text.toLowerCase();
      return DNS_NAME.test(value) ? { kind, value } : null;
    }
    case 'uri':
      return URI.test(text) ? { kind, value: text } : null;
    default: {
      if (!EMAIL.test(text)) return null;
      const at = text.lastIndexOf('@');
      return { kind, value: `${text.slice(0, at)}${text.slice(at).toLowerCase()}` };
    }
  }
}

/** The GeneralName forms by their tag (RFC 5280 §4.2.1.6); other forms name nobody here. */
function generalName({ tag, content }: DerElement): CertificateName[] {
  const kind = tag === 0x81 ? 'email' : tag === 0x82 ? 'dns' : tag === 0x86 ? 'uri' : null;
  if (kind !== null) {
    const name = canonicalName(kind, content.toString('latin1'));
    return name === null ? [] : [name];
  }
  return tag === 0x87 && (content.length === 4 || content.length === 16) ? [{ kind: 'ip', value: formatIp(content) }] : [];
}

/** The content of the only BOOLEAN and INTEGER in a BasicConstraints extension (RFC 5280 §4.2.1.9). */
export function basicConstraints(value: Buffer): { ca: boolean; pathLength: number } {
  const parts = elements(elements(value)[0].content);
  const ca = parts.some(({ tag, content }) => tag === TAG.boolean && content[0] !== 0);
  const length = parts.find(({ tag }) => tag === TAG.integer);
  return { ca, pathLength: length === undefined ? Number.POSITIVE_INFINITY : Number.parseInt(length.content.toString('hex'), 16) };
}
