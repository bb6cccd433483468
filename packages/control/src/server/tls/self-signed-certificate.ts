import { createHash, KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import type { KeyPair } from './served-certificate.js';

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR = 3_600_000;

/**
 * A new P-256 key with a certificate for these names (DNS names and IP addresses), signed with that key and valid for `lifetime` milliseconds from
 * now. Each has a subject of its own: OpenSSL takes two self-signed certificates of the same subject for one another.
 */
export async function makeSelfSigned(names: readonly string[], lifetime: number): Promise<KeyPair> {
  // Loaded here: it takes longer than the rest of a start, and it wants Reflect metadata to be there before it is.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  const spki = KeyObject.from(keys.publicKey).export({ type: 'spki', format: 'der' });
  const identifier = createHash('sha256').update(spki).digest('hex').slice(0, 40);
  const serial = randomBytes(16);
  // A positive DER integer as it stands (RFC 5280 §4.1.2.2).
  serial[0] = (serial[0] & 0x3f) | 0x40;
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ O: ['Sallyport development'] }, { CN: [`${names[0].slice(0, 50)} ${identifier.slice(0, 8)}`] }],
      keys,
      signingAlgorithm: P256,
      serialNumber: serial.toString('hex'),
      // Clients whose clock is slow.
      notBefore: new Date(now - HOUR),
      notAfter: new Date(now + lifetime),
      extensions: [
        // No authority: whoever trusts it trusts these names and no others.
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
        new x509.SubjectKeyIdentifierExtension(identifier),
        new x509.AuthorityKeyIdentifierExtension(identifier),
      ],
    },
    webcrypto,
  );
  return { key, cert: `${certificate.toString('pem').trimEnd()}\n` };
}
