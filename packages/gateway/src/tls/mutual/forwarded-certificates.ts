import { X509Certificate } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import { LRUCache } from 'lru-cache';
import { parseIp, unmapped } from '../../policy/ip-address.js';
import { type Network, networkCovers } from '../../policy/network.js';
import { pemCertificates } from '../pem.js';
import { type ClientCertificate, canonicalName, type PresentedCertificate } from './client-certificate.js';
import type { ClientTrust } from './client-trust.js';
import { type DistinguishedName, parseDistinguishedName } from './distinguished-name.js';
import { type ForwardedElement, lastForwardedElement } from './forwarded-element.js';
import { PeerCertificate } from './peer-certificate.js';

/** The header fields in which a balancer can tell of a client certificate: Envoy's, and that of RFC 9440. */
export const FORWARDED_HEADERS = ['X-Forwarded-Client-Cert', 'Client-Cert'] as const;

/** Every field that speaks of a client certificate: for whoever strips them. Lower case. */
export const FORWARDED_FIELDS = ['x-forwarded-client-cert', 'client-cert', 'client-cert-chain'] as const;

const CACHED = 10_000;
const CACHED_CHARACTERS = 4_194_304;
const MOST_SENT = 10;
const BYTE_SEQUENCE = /^:([A-Za-z0-9+/]+={0,2}):$/;

/**
 * The client certificates that balancers tell of. Only one header is ever read, so that a balancer which rewrites one of them and passes the other on
 * cannot be used to smuggle in a certificate. Immutable, but for what it remembers.
 */
export class ForwardedCertificates {
  readonly header: (typeof FORWARDED_HEADERS)[number];
  readonly #proxies: readonly Network[];
  readonly #trust: ClientTrust | null;
  readonly #known = new LRUCache<string, PresentedCertificate>({
    max: CACHED,
    maxSize: CACHED_CHARACTERS,
    sizeCalculation: (_, key) => key.length + 1,
  });

  /** `trust` verifies the certificates that are told of, which then have to be sent whole; null believes what the balancers say. */
  constructor(options: { proxies: readonly Network[]; header: (typeof FORWARDED_HEADERS)[number]; trust: ClientTrust | null }) {
    this.header = options.header;
    this.#proxies = options.proxies;
    this.#trust = options.trust;
  }

  /** Whether a peer at this address is one of the balancers. The address comes from the socket, not from a message. */
  trusts(address: string): boolean {
    const bytes = parseIp(address);
    return bytes !== null && this.#proxies.some((network) => networkCovers(network, unmapped(bytes)));
  }

  /**
   * The certificate in the lines of the header and, for `Client-Cert`, in those of `Client-Cert-Chain`. Throws `client_certificate_required` when
   * there is none, `client_certificate_malformed` when it cannot be read in exactly one way.
   */
  read(lines: readonly string[], chainLines: readonly string[]): PresentedCertificate {
    const last = lines.at(-1);
    if (last === undefined) throw new SallyportError('client_certificate_required', { detail: `the balancer sent no ${this.header} header` });
    // Not the earlier lines: they are not the balancer's. A line break keeps the parts apart, since no field value holds one.
    const key = this.header === 'Client-Cert' ? [...lines, '', ...chainLines].join('\n') : last;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const presented = this.header === 'Client-Cert' ? this.#clientCert(lines, chainLines) : this.#envoy(last);
    this.#known.set(key, presented);
    return presented;
  }

  /** RFC 9440 §2.2: one byte sequence with the certificate, and a list of them with its chain. */
  #clientCert(lines: readonly string[], chainLines: readonly string[]): PresentedCertificate {
    if (lines.length > 1) throw malformed('the header is there twice: the balancer has to replace what the client sent');
    const chain = chainLines.flatMap((line) => line.split(','));
    if (chain.length > MOST_SENT) throw malformed(`the chain has more than ${MOST_SENT} certificates`);
    const [leaf, ...above] = [lines[0], ...chain].map((item) => certificate(byteSequence(item)));
    return this.#whole(leaf, above);
  }

  #envoy(line: string): PresentedCertificate {
    const element = lastForwardedElement(line);
    if (element === null) throw malformed('it does not follow the form that Envoy writes');
    const { cert, chain, hash } = element;
    if (cert === null && chain === null) return this.#told(element);
    const blocks = [...pemCertificates(cert ?? ''), ...pemCertificates(chain ?? '')];
    if (blocks.length === 0) throw malformed('it holds no PEM certificate');
    if (blocks.length > MOST_SENT) throw malformed(`it holds more than ${MOST_SENT} certificates`);
    const [leaf, ...above] = blocks.map(certificate);
    if (hash !== null && hash.toLowerCase() !== leaf.fingerprint256.replaceAll(':', '').toLowerCase())
      throw malformed('its Hash is that of another certificate');
    return this.#whole(leaf, above);
  }

  #whole(leaf: X509Certificate, above: readonly X509Certificate[]): PresentedCertificate {
    try {
      return new PeerCertificate(leaf, above, () => this.#trust, null);
    } catch (cause) {
      throw malformed('the certificate cannot be read', cause);
    }
  }

  #told({ hash, subject, uris, dns }: ForwardedElement): PresentedCertificate {
    if (this.#trust !== null) {
      throw new SallyportError('client_certificate_required', {
        detail: 'the balancer sent no certificate that can be verified; let it add Cert to the X-Forwarded-Client-Cert header',
      });
    }
    const names = [...dns.map((name) => canonicalName('dns', name)), ...uris.map((uri) => canonicalName('uri', uri))];
    const told: ClientCertificate = {
      fingerprint: hash !== null && /^[0-9a-f]{64}$/i.test(hash) ? hash.toLowerCase() : null,
      subject: readableName(subject),
      issuer: null,
      names: names.filter((name) => name !== null),
    };
    // A header without content is what some balancers write for a client that had no certificate: that is not «any».
    if (told.fingerprint === null && told.subject === null && told.names.length === 0) {
      throw new SallyportError('client_certificate_required', { detail: 'the balancer told of no certificate' });
    }
    return { certificate: told, refusal: () => null };
  }
}

/** A name that cannot be read is none: it fits no caller. */
function readableName(subject: string | null): DistinguishedName | null {
  try {
    return subject === null ? null : parseDistinguishedName(subject);
  } catch {
    return null;
  }
}

function byteSequence(item: string): Buffer {
  const [, base64] = BYTE_SEQUENCE.exec(item.trim()) ?? [];
  if (base64 === undefined) throw malformed('expected a byte sequence, Base64 between two colons (RFC 9440)');
  return Buffer.from(base64, 'base64');
}

function certificate(encoded: Buffer | string): X509Certificate {
  try {
    return new X509Certificate(encoded);
  } catch (cause) {
    throw malformed('it holds a damaged certificate', cause);
  }
}

function malformed(detail: string, cause?: unknown): SallyportError {
  return new SallyportError('client_certificate_malformed', { detail: `the client certificate in the header cannot be used: ${detail}`, cause });
}
