import { SallyportError } from '@sallyport/sdk';
import { readCertificate, readTlsFile, type ServedCertificate, unusable } from './served-certificate.js';

/** Paths of PEM files. */
export interface CertificateFiles {
  /** The certificate with its chain. */
  readonly cert?: string | undefined;
  /** The private key, not encrypted. */
  readonly key?: string | undefined;
}

/** The two paths. Throws `server_tls_invalid` when one of them is missing: half a configuration is none. */
export function bothFiles({ cert, key }: CertificateFiles): { readonly cert: string; readonly key: string } {
  if (cert !== undefined && key !== undefined) return { cert, key };
  const [there, missing] = cert === undefined ? [`\`key\` (${key ?? 'empty'})`, 'cert'] : [`\`cert\` (${cert})`, 'key'];
  throw new SallyportError('server_tls_invalid', { detail: `There is ${there} without \`${missing}\`.` });
}

/**
 * Reads a certificate and its key, and makes sure that they fit together and that the certificate is in force. Throws `tls_files_invalid`, which says
 * what is wrong with which file.
 */
export async function readCertificateFiles({ cert, key }: { readonly cert: string; readonly key: string }): Promise<ServedCertificate> {
  const certificate = readCertificate({ cert: await readTlsFile(cert), key: await readTlsFile(key) }, { cert, key });
  const now = Date.now();
  if (now < certificate.notBefore) throw unusable(cert, `is not valid before ${new Date(certificate.notBefore).toISOString()}`);
  if (now >= certificate.notAfter) throw unusable(cert, `has expired (${new Date(certificate.notAfter).toISOString()})`);
  return certificate;
}
