import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import { type AuthorityFiles, authorityPaths, checkDirectory, noAuthority, publishRoot, readAuthorityFiles } from './authority-files.js';
import { certificatePem, pemCertificates } from './pem.js';
import { generateRoot } from './root-certificate.js';

/** The certificate authority that signs what intercepted clients see. The key stays inside its `KeyObject`, which shows nothing when printed. */
export interface Authority {
  readonly directory: string;
  /** Where clients find the certificate: `ca.crt` in `directory`. */
  readonly certificatePath: string;
  readonly certificate: X509Certificate;
  /** The certificate as one PEM block. */
  readonly certificatePem: string;
  readonly key: KeyObject;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/**
 * The authority in `dir`: an EC P-256 root in `ca.crt` with its key in `ca.key` (0600). Made when `create` is set and neither file is there; two
 * processes that start at once end with the same one. What is there is never replaced and never completed by something new.
 * Throws `authority_invalid` when a half is missing, unreadable, expired, no root authority or does not fit the other; `authority_permissions` when
 * others can use the key or write to the directory. Both say which file and what to do.
 */
export async function openAuthority({ dir, create }: { dir: string; create: boolean }): Promise<Authority> {
  await checkDirectory(dir, create);
  let files = await readAuthorityFiles(dir);
  if (create && files.certificate === null && files.key === null) {
    await publishRoot(dir, await generateRoot(), { replace: false });
    files = await readAuthorityFiles(dir);
  }
  return authorityFrom(dir, files);
}

/**
 * Replaces both halves by a new root, whatever state they are in, and answers the new authority. Clients that trust only the old one stop working.
 * A crash in between leaves the old pair or the new one. Throws as `openAuthority` does when the directory is unsafe or cannot be written.
 */
export async function regenerateAuthority(dir: string): Promise<Authority> {
  await checkDirectory(dir, true);
  await publishRoot(dir, await generateRoot(), { replace: true });
  return authorityFrom(dir, await readAuthorityFiles(dir));
}

/** How a certificate can be written: PEM text, the bytes themselves, or their Base64 on one line with a newline. */
export type CertificateFormat = 'pem' | 'der' | 'der-base64';

/** The certificate of the authority (never its key) as the bytes of a file. */
export function exportCertificate(authority: Authority, format: CertificateFormat): Buffer {
  const der = authority.certificate.raw;
  if (format === 'der') return der;
  return Buffer.from(format === 'pem' ? authority.certificatePem : `${der.toString('base64')}\n`);
}

function authorityFrom(dir: string, files: AuthorityFiles): Authority {
  const paths = authorityPaths(dir);
  if (files.certificate === null && files.key === null) throw noAuthority(dir);
  if (files.certificate === null) throw invalid(`${paths.key} is there, but ${paths.certificate} is missing.`);
  if (files.key === null) throw invalid(`${paths.certificate} is there, but ${paths.key} is missing.`);

  const certificate = readCertificate(paths.certificate, files.certificate);
  const key = readKey(paths.key, files.key);
  if (!certificate.checkPrivateKey(key)) throw invalid(`${paths.key} is not the key of the certificate in ${paths.certificate}.`);
  const [notBefore, notAfter] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const now = Date.now();
  if (now >= notAfter) throw invalid(`The certificate in ${paths.certificate} expired on ${certificate.validTo}.`);
  if (now < notBefore) {
    throw invalid(`The certificate in ${paths.certificate} is not valid before ${certificate.validFrom}.`, 'Check the clock of this machine.');
  }
  return {
    directory: dir,
    certificatePath: paths.certificate,
    certificate,
    certificatePem: certificatePem(certificate.raw),
    key,
    notBefore,
    notAfter,
  };
}

function readCertificate(path: string, text: string): X509Certificate {
  const blocks = pemCertificates(text);
  if (blocks.length !== 1) throw invalid(`${path} must hold exactly one PEM certificate; it holds ${blocks.length}.`);
  const certificate = parsed(() => new X509Certificate(blocks[0]), `The certificate in ${path} cannot be read: it is damaged.`);
  if (!certificate.ca) throw invalid(`The certificate in ${path} is not one of an authority: it may not sign other certificates.`);
  if (!certificate.checkIssued(certificate)) {
    throw invalid(`The certificate in ${path} is not a root: clients that trust only this file could not verify what it signs.`);
  }
  return certificate;
}

function readKey(path: string, text: string): KeyObject {
  const key = parsed(() => createPrivateKey(text), `${path} holds no private key that can be read; it must be an unencrypted PEM key.`);
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw invalid(`The key in ${path} is not an EC key on the curve P-256.`);
  }
  return key;
}

function parsed<T>(parse: () => T, problem: string): T {
  try {
    return parse();
  } catch (error) {
    throw new SallyportError('authority_invalid', { detail: problem, cause: error });
  }
}

function invalid(detail: string, hint?: string): SallyportError {
  return new SallyportError('authority_invalid', hint === undefined ? { detail } : { detail, hint });
}
