import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { errorCode } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';

/** A certificate with its chain, and its private key, both PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** A certificate that was checked, ready for handshakes. */
export interface ServedCertificate {
  readonly pair: KeyPair;
  readonly leaf: X509Certificate;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  readonly secureContext: SecureContext;
}

/** The oldest version that is spoken, whatever the environment says about it. */
export const MIN_TLS_VERSION = 'TLSv1.2';

const LARGEST_FILE = 1_048_576;
// A character class that excludes the dash keeps the time linear when a block is never closed.
const CERTIFICATES = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g;

/**
 * Makes sure that a key belongs to a certificate and that OpenSSL takes both. The paths are for the messages. Throws `tls_files_invalid`, which says
 * what is wrong with which file. Whether the certificate is in force is not judged.
 */
export function readCertificate({ cert, key }: KeyPair, paths: KeyPair): ServedCertificate {
  const blocks = cert.match(CERTIFICATES) ?? [];
  if (blocks.length === 0) throw unusable(paths.cert, 'holds no PEM certificate');
  const [leaf] = blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw unusable(paths.cert, `holds a damaged certificate, number ${index + 1}`, cause);
    }
  });
  if (!leaf.checkPrivateKey(privateKey(key, paths.key))) throw unusable(paths.key, `is not the key of the certificate in ${paths.cert}`);
  const pair = { cert: blocks.map((block) => `${block}\n`).join(''), key };
  return { pair, leaf, notBefore: Date.parse(leaf.validFrom), notAfter: Date.parse(leaf.validTo), secureContext: contextOf(pair, paths) };
}

/** The text of a file of at most 1 MiB. Throws `tls_files_invalid` with its name. */
export async function readTlsFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > LARGEST_FILE) throw unusable(path, 'is larger than 1 MiB');
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof SallyportError) throw cause;
    throw unusable(path, `cannot be read (${errorCode(cause)})`, cause);
  }
}

/** The error for a file that cannot be used. */
export function unusable(path: string, what: string, cause?: unknown): SallyportError {
  return new SallyportError('tls_files_invalid', { detail: `The file ${path} ${what}.`, cause });
}

function contextOf(pair: KeyPair, paths: KeyPair): SecureContext {
  try {
    return createSecureContext({ ...pair, minVersion: MIN_TLS_VERSION });
  } catch (cause) {
    throw unusable(paths.cert, `is not accepted by OpenSSL (${errorCode(cause)})`, cause);
  }
}

function privateKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    if (/BEGIN ENCRYPTED|ENCRYPTED$/m.test(pem)) throw unusable(path, 'is encrypted; name a file with the plain key that only this user can read');
    // The cause is not kept: nothing that was said about a key should travel.
    throw unusable(path, `holds no private key in PEM form (${errorCode(cause)})`);
  }
}
