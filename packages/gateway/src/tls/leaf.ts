import { generateKeyPairSync, sign } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import { canonicalHost } from '../policy/canonical-host.js';
import { parseIp } from '../policy/ip-address.js';
import type { Authority } from './authority.js';
import { issuerFields, keyIdentifier, randomSerial } from './certificate-fields.js';
import { bitString, context, contextConstructed, element, integer, objectIdentifier, TAG, time } from './der.js';
import { certificatePem } from './pem.js';

const HOUR = 3_600_000;
const BACKDATING = HOUR;
const LONGEST_LIFETIME = 30 * 24 * HOUR;
/** The upper bound of a common name (`ub-common-name`, RFC 5280 appendix A.1). */
const COMMON_NAME_LENGTH = 64;

const OID = {
  commonName: objectIdentifier('2.5.4.3'),
  subjectKeyIdentifier: objectIdentifier('2.5.29.14'),
  keyUsage: objectIdentifier('2.5.29.15'),
  subjectAlternativeName: objectIdentifier('2.5.29.17'),
  authorityKeyIdentifier: objectIdentifier('2.5.29.35'),
  extendedKeyUsage: objectIdentifier('2.5.29.37'),
  serverAuth: objectIdentifier('1.3.6.1.5.5.7.3.1'),
  ecdsaWithSha256: objectIdentifier('1.2.840.10045.4.3.2'),
};

const SIGNATURE_ALGORITHM = element(TAG.sequence, OID.ecdsaWithSha256);
const VERSION_3 = element(contextConstructed(0), integer(Buffer.of(2)));
const KEY_USAGE = extension(OID.keyUsage, bitString(Buffer.of(0x80), 7), 'critical');
const EXTENDED_KEY_USAGE = extension(OID.extendedKeyUsage, element(TAG.sequence, OID.serverAuth));

/** A certificate for one host. Times are milliseconds since the epoch, whole seconds. */
interface Leaf {
  readonly pem: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Mints leaves that all share one key, made with the minter. A P-256 key costs more than the certificate around it, and none is ever written down. */
export interface LeafMinter {
  /** PKCS#8 PEM of the key of every leaf. */
  readonly keyPem: string;
  /**
   * A certificate for serving TLS as `host`, in the canonical spelling of `canonicalHost`: the one subject alternative name, and the common name
   * where it fits. Valid from an hour before `now` (milliseconds since the epoch; clients whose clock is slow), for 30 days at most and never beyond
   * the authority. Throws `target_invalid` when `host` is neither a name nor an address, `authority_invalid` when the authority is not valid at `now`.
   */
  mint(host: string, now: number): Leaf;
}

/** A minter that signs with `authority`. Its leaves last `lifetime` milliseconds from now on, at most 30 days. */
export function leafMinter(authority: Authority, lifetime = LONGEST_LIFETIME): LeafMinter {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subjectPublicKeyInfo = publicKey.export({ type: 'spki', format: 'der' });
  const issuer = issuerFields(authority.certificate.raw);
  const sharedExtensions = [
    KEY_USAGE,
    EXTENDED_KEY_USAGE,
    extension(OID.subjectKeyIdentifier, element(TAG.octetString, keyIdentifier(publicKey))),
    // Verifiers compare this with the issuer's identifier to the byte: an issuer that has none must not be given one.
    ...(issuer.keyIdentifier === undefined
      ? []
      : [extension(OID.authorityKeyIdentifier, element(TAG.sequence, element(context(0), issuer.keyIdentifier)))]),
  ];

  return {
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    mint(host, now) {
      const name = canonicalHost(host).text;
      const { notBefore, notAfter } = validity(authority, now, lifetime);
      const hasCommonName = name.length <= COMMON_NAME_LENGTH;
      const tbs = element(
        TAG.sequence,
        VERSION_3,
        integer(randomSerial()),
        SIGNATURE_ALGORITHM,
        issuer.name,
        element(TAG.sequence, time(notBefore), time(notAfter)),
        element(TAG.sequence, ...(hasCommonName ? [commonName(name)] : [])),
        subjectPublicKeyInfo,
        element(contextConstructed(3), element(TAG.sequence, alternativeName(name, hasCommonName), ...sharedExtensions)),
      );
      const der = element(TAG.sequence, tbs, SIGNATURE_ALGORITHM, bitString(sign('sha256', tbs, authority.key)));
      return { pem: certificatePem(der), notBefore, notAfter };
    },
  };
}

function validity(authority: Authority, now: number, lifetime: number): { notBefore: number; notAfter: number } {
  if (now >= authority.notAfter || now < authority.notBefore) {
    throw new SallyportError('authority_invalid', {
      detail: `The certificate authority in ${authority.directory} is valid from ${date(authority.notBefore)} to ${date(authority.notAfter)}; it is ${date(now)} now.`,
      hint: 'Check the clock of this machine, or make a new authority with `sallyport ca regenerate --confirm`.',
    });
  }
  const notBefore = Math.max(Math.floor((now - BACKDATING) / 1000) * 1000, authority.notBefore);
  return { notBefore, notAfter: Math.min(Math.floor((now + lifetime) / 1000) * 1000, notBefore + LONGEST_LIFETIME, authority.notAfter) };
}

function commonName(name: string): Buffer {
  return element(TAG.set, element(TAG.sequence, OID.commonName, element(TAG.utf8String, Buffer.from(name))));
}

function alternativeName(name: string, hasSubject: boolean): Buffer {
  const address = parseIp(name);
  const generalName = address === null ? element(context(2), Buffer.from(name)) : element(context(7), address);
  // RFC 5280 §4.2.1.6: critical where the subject is empty.
  return extension(OID.subjectAlternativeName, element(TAG.sequence, generalName), hasSubject ? undefined : 'critical');
}

function extension(oid: Buffer, value: Buffer, critical?: 'critical'): Buffer {
  const flag = critical === undefined ? [] : [element(TAG.boolean, Buffer.of(0xff))];
  return element(TAG.sequence, oid, ...flag, element(TAG.octetString, value));
}

function date(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 16)}Z`;
}
