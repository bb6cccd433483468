import { createHash, X509Certificate } from 'node:crypto';
import { pemCertificates } from './pem.js';

const MAGIC = 0xfeedfeed;
const VERSION = 2;
const TRUSTED_CERTIFICATE = 2;

/**
 * A Java key store (JKS, version 2) that trusts the certificates in the PEM texts, each once, under its SHA-256 fingerprint as alias. For
 * `-Djavax.net.ssl.trustStore=FILE -Djavax.net.ssl.trustStoreType=JKS`; every Java reads JKS, and writing it needs none. Certificates are not
 * secret: `password` only seals them against accidents, and a Java that is not told it skips that check. Throws for a block that is no certificate.
 */
export function javaTrustStore(certificatesPem: readonly string[], password: string): Buffer {
  const entries = new Map<string, Buffer>();
  for (const block of certificatesPem.flatMap(pemCertificates)) {
    const { raw } = new X509Certificate(block);
    const alias = createHash('sha256').update(raw).digest('hex');
    entries.set(alias, entry(alias, raw));
  }
  const body = Buffer.concat([unsigned32(MAGIC), unsigned32(VERSION), unsigned32(entries.size), ...entries.values()]);
  // The seal that the format prescribes: the password in UTF-16BE, a fixed phrase, the body.
  const seal = createHash('sha1').update(Buffer.from(password, 'utf16le').swap16()).update('Mighty Aphrodite').update(body).digest();
  return Buffer.concat([body, seal]);
}

function entry(alias: string, certificate: Buffer): Buffer {
  // Eight octets of creation date, which nothing reads; zero keeps the file the same for the same certificates.
  const created = Buffer.alloc(8);
  return Buffer.concat([unsigned32(TRUSTED_CERTIFICATE), text(alias), created, text('X.509'), unsigned32(certificate.length), certificate]);
}

/** The form of `DataOutput.writeUTF` for ASCII: two octets of length, then the text. */
function text(ascii: string): Buffer {
  return Buffer.concat([Buffer.of(ascii.length >>> 8, ascii.length & 0xff), Buffer.from(ascii)]);
}

function unsigned32(value: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value);
  return octets;
}
