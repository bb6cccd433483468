import { KeyObject, webcrypto } from 'node:crypto';
import { keyIdentifier, randomSerial } from './certificate-fields.js';
import { certificatePem } from './pem.js';

const HOUR = 3_600_000;
const LIFETIME = 3650 * 24 * HOUR;

/** A new root: its key as PKCS#8 PEM, its certificate as PEM, and the key identifier in hexadecimal. */
export interface Root {
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly keyId: string;
}

/**
 * A self-signed P-256 root for ten years, valid from an hour ago (clients whose clock is slow), that may sign leaves and nothing below them.
 * Its name carries the start of its key identifier: OpenSSL takes two roots of the same name for one another.
 */
export async function generateRoot(): Promise<Root> {
  // Loaded only here: the two take longer than the rest of a start, and a start makes a root once. x509 needs Reflect metadata to be there first.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');

  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const keyId = keyIdentifier(KeyObject.from(keys.publicKey)).toString('hex');
  const now = Date.now();
  const { KeyUsageFlags } = x509;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ O: ['Sallyport'] }, { CN: [`Sallyport CA ${keyId.slice(0, 8)}`] }],
      serialNumber: randomSerial().toString('hex'),
      notBefore: new Date(now - HOUR),
      notAfter: new Date(now + LIFETIME),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        new x509.SubjectKeyIdentifierExtension(keyId),
      ],
    },
    webcrypto,
  );
  return {
    keyPem: KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificatePem: certificatePem(Buffer.from(certificate.rawData)),
    keyId,
  };
}
