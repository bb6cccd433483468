import type { X509Certificate } from 'node:crypto';
import { basicConstraints, type CertificateFields, certificateFields } from './client-certificate.js';
import type { RevocationList } from './revocation-list.js';

/** Extensions whose meaning is honoured here; a certificate with any other critical one is refused (RFC 5280 §4.2). */
const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const HONOURED: ReadonlySet<string> = new Set([BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, '2.5.29.17', '2.5.29.32']);
const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';
/** Signatures with MD5 or SHA-1 can be forged. */
const WEAK_SIGNATURES: ReadonlySet<string> = new Set(['1.2.840.113549.1.1.4', '1.2.840.113549.1.1.5', '1.2.840.10045.4.1', '1.2.840.10040.4.3']);
const LONGEST_CHAIN = 8;
const MOST_SENT = 16;
/** Signature checks for one certificate, however its sender arranges a maze of cross-signed authorities. */
const MOST_STEPS = 64;

/** What `verify` found. */
export type Verdict =
  /** When the first part of the chain or of the revocation lists stops being good, milliseconds since the epoch. */
  { readonly validUntil: number } | { readonly fault: string };

/**
 * The authorities that clients are verified against, with their revocation lists. Immutable: when the files change there is another one, and what was
 * verified under the old one is verified again.
 */
export class ClientTrust {
  /** PEM blocks of the authorities and of the lists, for OpenSSL. */
  readonly ca: readonly string[];
  readonly crl: readonly string[];
  readonly #authorities: readonly X509Certificate[];
  readonly #anchors: ReadonlySet<string>;
  readonly #lists: ReadonlyMap<string, readonly RevocationList[]>;

  constructor(authorities: readonly X509Certificate[], lists: readonly RevocationList[]) {
    this.#authorities = authorities;
    this.#anchors = new Set(authorities.filter((one) => one.checkIssued(one)).map((one) => one.fingerprint256));
    this.ca = authorities.map(String);
    this.crl = lists.map(({ pem }) => pem);
    const byIssuer = new Map<string, RevocationList[]>();
    for (const list of lists) byIssuer.set(list.issuer, [...(byIssuer.get(list.issuer) ?? []), list]);
    this.#lists = byIssuer;
  }

  /** When the first revocation list expires, milliseconds since the epoch; infinity without lists. */
  get listsValidUntil(): number {
    return Math.min(...[...this.#lists.values()].flat().map(({ nextUpdate }) => nextUpdate));
  }

  /**
   * Verifies a certificate as OpenSSL does in a handshake, for those that come without one: signatures, validity, authority bits and path lengths,
   * key usages and revocation, up to a root among the authorities. `sent` is what the client sent along. Where OpenSSL would know better (name
   * constraints), it refuses.
   */
  verify(leaf: X509Certificate, sent: readonly X509Certificate[], now: number): Verdict {
    const fault = faultOf(leaf, certificateFields(leaf), now) ?? leafFault(leaf);
    if (fault !== null) return { fault };
    const search = {
      pool: [...this.#authorities, ...sent.slice(0, MOST_SENT)],
      steps: 0,
      now,
      fault: 'it is not signed by an authority of client_ca',
    };
    const validUntil = this.#climb(leaf, 0, search);
    return validUntil === null ? { fault: search.fault } : { validUntil };
  }

  /** How long the chain from here to a root is good; null when there is none. */
  #climb(certificate: X509Certificate, below: number, search: Search): number | null {
    const own = Date.parse(certificate.validTo);
    if (this.#anchors.has(certificate.fingerprint256)) return own;
    if (below === LONGEST_CHAIN) return null;
    for (const issuer of search.pool) {
      if (!certificate.checkIssued(issuer) || ++search.steps > MOST_STEPS || !certificate.verify(issuer.publicKey)) continue;
      const fault = issuerFault(issuer, below, search.now) ?? this.#revocationFault(certificate, issuer, search.now);
      if (fault !== null) {
        search.fault = fault;
        continue;
      }
      const above = this.#climb(issuer, below + 1, search);
      if (above !== null) return Math.min(own, above, ...(this.#lists.get(issuer.fingerprint256) ?? []).map(({ nextUpdate }) => nextUpdate));
    }
    return null;
  }

  #revocationFault(certificate: X509Certificate, issuer: X509Certificate, now: number): string | null {
    if (this.#lists.size === 0) return null;
    const lists = this.#lists.get(issuer.fingerprint256);
    if (lists === undefined) return 'its authority has no revocation list here';
    const { serial } = certificateFields(certificate);
    if (lists.some(({ revoked }) => revoked.has(serial))) return 'it is revoked';
    return lists.some(({ nextUpdate }) => nextUpdate <= now) ? 'the revocation list of its authority has expired' : null;
  }
}

interface Search {
  readonly pool: readonly X509Certificate[];
  readonly now: number;
  steps: number;
  /** Why the last candidate was not taken. */
  fault: string;
}

function leafFault(leaf: X509Certificate): string | null {
  const usage = certificateFields(leaf).extensions.get(KEY_USAGE);
  // BIT STRING: identifier, length, unused bits, then digitalSignature (0x80) and keyAgreement (0x08).
  return usage === undefined || ((usage.value[3] ?? 0) & 0x88) !== 0 ? null : 'its key usage does not allow a handshake';
}

function issuerFault(issuer: X509Certificate, below: number, now: number): string | null {
  const fields = certificateFields(issuer);
  const constraints = fields.extensions.get(BASIC_CONSTRAINTS);
  if (constraints === undefined || !basicConstraints(constraints.value).ca) return 'it is signed by a certificate that is no authority';
  if (below > basicConstraints(constraints.value).pathLength) return 'its chain is longer than one of its authorities allows';
  return faultOf(issuer, fields, now);
}

function faultOf(certificate: X509Certificate, { signatureAlgorithm, extensions }: CertificateFields, now: number): string | null {
  const whose = certificate.ca ? 'its authority' : 'it';
  if (now < Date.parse(certificate.validFrom)) return `${whose} is not valid yet`;
  if (now >= Date.parse(certificate.validTo)) return `${whose} has expired`;
  if (!certificate.checkIssued(certificate) && WEAK_SIGNATURES.has(signatureAlgorithm)) return `${whose} is signed with a weak algorithm`;
  for (const [id, { critical }] of extensions)
    if (critical && !HONOURED.has(id)) return `${whose} has a critical extension that is not supported (${id})`;
  // What Node calls key usage are the purposes of the extended one.
  if (extensions.has(EXTENDED_KEY_USAGE) && !certificate.keyUsage.includes(CLIENT_AUTHENTICATION)) return `${whose} is not for client authentication`;
  return null;
}
