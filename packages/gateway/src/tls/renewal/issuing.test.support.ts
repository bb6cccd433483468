import { KeyObject, webcrypto } from 'node:crypto';
import type { JsonGeneralName } from '@peculiar/x509';
import { keyIdentifier, randomSerial } from '../certificate-fields.js';
import { x509Library } from './x509-library.js';

/** What a test wants a certificate to be; everything has a sound value when it is left out. */
export interface Wanted {
  readonly names?: readonly JsonGeneralName[];
  /** That of the request otherwise; null for a subject that is empty. */
  readonly commonName?: string | null;
  /** Signs this key instead of that of the request. */
  readonly publicKey?: webcrypto.CryptoKey;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly authority?: boolean;
  /** OIDs; null for no such extension. */
  readonly purposes?: readonly string[] | null;
  /** Null for no such extension. */
  readonly keyUsage?: number | null;
}

/** An authority that signs what it is told to, right or wrong. */
export interface Issuer {
  readonly pem: string;
  /** A certificate for a request, without any chain. */
  sign(csr: string, wanted?: Wanted): Promise<string>;
  /** An authority below this one. */
  intermediate(name: string, wanted?: Wanted): Promise<Issuer>;
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
export const DAY = 86_400_000;

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
}

/** A new root. */
export async function rootIssuer(name = 'Test root'): Promise<Issuer> {
  const keys = await generateKeys();
  const self = { name, keys };
  return issuerOf(self, await issue(self, name, keys.publicKey, { authority: true, names: [] }));
}

interface Signing {
  readonly name: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

function issuerOf(signing: Signing, pem: string): Issuer {
  return {
    pem,
    async sign(csr, wanted = {}) {
      const { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } = await x509Library();
      const request = new Pkcs10CertificateRequest(csr);
      const asked = request.getExtension('2.5.29.17');
      const names = asked === null ? [] : new SubjectAlternativeNameExtension(asked.rawData).names.toJSON();
      const key = wanted.publicKey ?? (await webcrypto.subtle.importKey('spki', request.publicKey.rawData, P256, true, ['verify']));
      const { commonName = request.subjectName.getField('CN')[0] ?? null } = wanted;
      return issue(signing, commonName, key, { names, ...wanted });
    },
    async intermediate(name, wanted = {}) {
      const keys = await generateKeys();
      return issuerOf({ name, keys }, await issue(signing, name, keys.publicKey, { authority: true, names: [], ...wanted }));
    },
  };
}

async function issue(issuer: Signing, commonName: string | null, publicKey: webcrypto.CryptoKey, wanted: Wanted): Promise<string> {
  const x509 = await x509Library();
  const { authority = false, names = [], purposes = authority ? null : [SERVER_AUTH] } = wanted;
  const { KeyUsageFlags } = x509;
  const { keyUsage = authority ? KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign : KeyUsageFlags.digitalSignature } = wanted;
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject: commonName === null ? [] : [{ CN: [commonName] }],
      issuer: [{ CN: [issuer.name] }],
      publicKey,
      signingKey: issuer.keys.privateKey,
      signingAlgorithm: P256,
      serialNumber: randomSerial().toString('hex'),
      notBefore: new Date(wanted.notBefore ?? Date.now() - DAY),
      notAfter: new Date(wanted.notAfter ?? Date.now() + 90 * DAY),
      extensions: [
        new x509.BasicConstraintsExtension(authority, undefined, true),
        ...(keyUsage === null ? [] : [new x509.KeyUsagesExtension(keyUsage, true)]),
        ...(purposes === null ? [] : [new x509.ExtendedKeyUsageExtension([...purposes])]),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...names])]),
        new x509.SubjectKeyIdentifierExtension(keyIdentifier(KeyObject.from(publicKey)).toString('hex')),
        new x509.AuthorityKeyIdentifierExtension(keyIdentifier(KeyObject.from(issuer.keys.publicKey)).toString('hex')),
      ],
    },
    webcrypto,
  );
  return `${certificate.toString('pem')}\n`;
}
