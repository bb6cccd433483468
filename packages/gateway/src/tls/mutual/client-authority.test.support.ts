import 'reflect-metadata';
import { KeyObject, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { keyIdentifier, randomSerial } from '../certificate-fields.js';

/** A certificate with its key, PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
  readonly serial: string;
  readonly x509: X509Certificate;
}

/** What a certificate says; a client with the subject `CN=client` for the next hour when nothing is said. */
export interface Wanted {
  readonly subject?: x509.X509CertificateCreateParamsName;
  readonly names?: x509.JsonGeneralNames;
  /** Milliseconds from now. */
  readonly from?: number;
  readonly until?: number;
  readonly purposes?: readonly string[];
  readonly extensions?: readonly x509.Extension[];
}

/** An authority that issues whatever it is told to. */
export interface ClientAuthority extends Issued {
  issue(wanted?: Wanted): Promise<Issued>;
  intermediate(name: string, pathLength?: number): Promise<ClientAuthority>;
  /** A revocation list, PEM. */
  list(revoked?: readonly Issued[], times?: { from?: number; until?: number; extensions?: x509.Extension[] }): Promise<string>;
}

const HOUR = 3_600_000;
const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';
export const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A root. */
export async function clientAuthority(name: string): Promise<ClientAuthority> {
  return authority([{ CN: [name] }], null, undefined);
}

/** A client that vouches for itself. */
export async function selfSigned(name: string): Promise<Issued> {
  const keys = await newKeys();
  const subject = [{ CN: [name] }];
  return sign(subject, keys, { name: subject, keys }, { extensions: [new x509.ExtendedKeyUsageExtension([CLIENT_AUTHENTICATION])] });
}

interface Signer {
  readonly name: x509.X509CertificateCreateParamsName;
  readonly keys: webcrypto.CryptoKeyPair;
}

async function authority(
  subject: x509.X509CertificateCreateParamsName,
  parent: Signer | null,
  pathLength: number | undefined,
): Promise<ClientAuthority> {
  const keys = await newKeys();
  const self: Signer = { name: subject, keys };
  const extensions = [
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    new x509.SubjectKeyIdentifierExtension(keyIdentifier(KeyObject.from(keys.publicKey)).toString('hex')),
  ];
  const own = await sign(subject, keys, parent ?? self, { until: 240 * HOUR, extensions });
  return {
    ...own,
    async issue({ subject: wanted = [{ CN: ['client'] }], names, purposes = [CLIENT_AUTHENTICATION], extensions: further = [], ...times } = {}) {
      const all = [
        new x509.BasicConstraintsExtension(false, undefined, true),
        ...(purposes.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...purposes])]),
        ...(names === undefined ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
        ...further,
      ];
      return sign(wanted, await newKeys(), self, { ...times, extensions: all });
    },
    intermediate: (name, length) => authority([{ CN: [name] }], self, length),
    async list(revoked = [], { from = -HOUR, until = HOUR, extensions: listed = [] } = {}) {
      const crl = await x509.X509CrlGenerator.create(
        {
          issuer: subject,
          thisUpdate: new Date(Date.now() + from),
          nextUpdate: new Date(Date.now() + until),
          entries: revoked.map(({ serial }) => ({ serialNumber: serial, revocationDate: new Date(Date.now() - HOUR) })),
          extensions: listed,
          signingAlgorithm: ALGORITHM,
          signingKey: keys.privateKey,
        },
        webcrypto,
      );
      return `${crl.toString('pem')}\n`;
    },
  };
}

async function sign(
  subject: x509.X509CertificateCreateParamsName,
  keys: webcrypto.CryptoKeyPair,
  issuer: Signer,
  { from = -HOUR, until = HOUR, extensions }: { from?: number; until?: number; extensions: x509.Extension[] },
): Promise<Issued> {
  const serial = randomSerial().toString('hex');
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject,
      issuer: issuer.name,
      serialNumber: serial,
      notBefore: new Date(Date.now() + from),
      notAfter: new Date(Date.now() + until),
      publicKey: keys.publicKey,
      signingKey: issuer.keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions,
    },
    webcrypto,
  );
  const cert = `${certificate.toString('pem')}\n`;
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  return { cert, key, serial, x509: new X509Certificate(cert) };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}
