import { KeyObject, webcrypto } from 'node:crypto';
import { join } from 'node:path';
import type { Extension } from '@peculiar/x509';
import { keyIdentifier, randomSerial } from '../certificate-fields.js';
import { certificatePem } from '../pem.js';
import { type AlternativeName, nameText, readNames } from './alternative-names.js';
import { placeFiles } from './enroll.js';
import { x509Library } from './x509-library.js';

export interface DevelopmentOptions {
  readonly directory: string;
  /** Names of the server beyond `localhost`, `127.0.0.1` and `::1`. */
  readonly domains: readonly string[];
  /** Replaces files that are there. */
  readonly force: boolean;
  /** Writes the key of the authority too, as `ca.key`; otherwise it is gone when this resolves. */
  readonly keepAuthorityKey: boolean;
}

/** What was made. */
export interface DevelopmentCertificates {
  readonly paths: {
    readonly ca: string;
    readonly serverCert: string;
    readonly serverKey: string;
    readonly clientCert: string;
    readonly clientKey: string;
  };
  /** The names of the server, such as `dns:localhost`. */
  readonly names: readonly string[];
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR = 3_600_000;
const LIFETIME = 365 * 24 * HOUR;
const LOCAL = ['localhost', '127.0.0.1', '::1'];
const ORGANIZATION = 'Sallyport development';

/**
 * An authority, a server and a client for trying out mutual TLS on one machine: P-256, valid for a year, files 0600. Not for production: whoever can
 * read the files can be both sides. Throws `certificate_name_invalid`, `certificate_files_exist`, `certificate_files_failed`.
 */
export async function makeDevelopmentCertificates(options: DevelopmentOptions): Promise<DevelopmentCertificates> {
  const { directory, domains, force, keepAuthorityKey } = options;
  const names = readNames([...LOCAL, ...domains]);
  const authority = await makeAuthority();
  const server = await authority.issue('localhost', names, 'server');
  const client = await authority.issue('test-client', [], 'client');
  const at = (name: string): string => join(directory, name);
  const files = [
    { path: at('server.key'), text: server.keyPem },
    { path: at('server.crt'), text: server.certificatePem },
    { path: at('client.key'), text: client.keyPem },
    { path: at('client.crt'), text: client.certificatePem },
    { path: at('ca.crt'), text: authority.certificatePem },
    { path: at('ca.key'), text: keepAuthorityKey ? authority.keyPem : null },
  ];
  await placeFiles(directory, force, files);
  return {
    paths: {
      ca: at('ca.crt'),
      serverCert: at('server.crt'),
      serverKey: at('server.key'),
      clientCert: at('client.crt'),
      clientKey: at('client.key'),
    },
    names: names.map(nameText),
  };
}

interface Issued {
  readonly keyPem: string;
  readonly certificatePem: string;
}

interface DevelopmentAuthority extends Issued {
  issue(commonName: string, names: readonly AlternativeName[], purpose: 'server' | 'client'): Promise<Issued>;
}

async function makeAuthority(): Promise<DevelopmentAuthority> {
  const x509 = await x509Library();
  const { KeyUsageFlags } = x509;
  const keys = await generateKeys();
  const id = keyIdentifier(KeyObject.from(keys.publicKey)).toString('hex');
  // OpenSSL takes two authorities of the same name for one another.
  const subject = [{ O: [ORGANIZATION] }, { CN: [`Sallyport development CA ${id.slice(0, 8)}`] }];

  const sign = async (publicKey: webcrypto.CryptoKey, name: typeof subject, extensions: Extension[]): Promise<string> => {
    const now = Date.now();
    const certificate = await x509.X509CertificateGenerator.create(
      {
        subject: name,
        issuer: subject,
        publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: P256,
        serialNumber: randomSerial().toString('hex'),
        // Clients whose clock is slow.
        notBefore: new Date(now - HOUR),
        notAfter: new Date(now + LIFETIME),
        extensions: [
          ...extensions,
          new x509.SubjectKeyIdentifierExtension(keyIdentifier(KeyObject.from(publicKey)).toString('hex')),
          new x509.AuthorityKeyIdentifierExtension(id),
        ],
      },
      webcrypto,
    );
    return certificatePem(Buffer.from(certificate.rawData));
  };

  return {
    keyPem: pemOf(keys.privateKey),
    certificatePem: await sign(keys.publicKey, subject, [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ]),
    async issue(commonName, names, purpose) {
      const own = await generateKeys();
      const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
      const certificate = await sign(
        own.publicKey,
        [{ O: [ORGANIZATION] }, { CN: [commonName] }],
        [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([purpose === 'server' ? serverAuth : clientAuth]),
          ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension([...names])] : []),
        ],
      );
      return { keyPem: pemOf(own.privateKey), certificatePem: certificate };
    },
  };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
}

function pemOf(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString();
}
