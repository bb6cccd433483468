import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { ifPresent } from '@sallyport/credentials';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import { isHostName } from './host-name.js';
import { makeSelfSigned } from './self-signed-certificate.js';
import type { ServedCertificate } from './served-certificate.js';
import { loadCertificate, onDisk, openFolder, placePublicFile, storeCertificate } from './stored-certificate.js';

const DAY = 24 * 3_600_000;
const LIFETIME = 365 * DAY;
const RENEW_BEFORE = 30 * DAY;
const LOCAL = ['localhost', '127.0.0.1', '::1'];

/** Where the certificate for development is kept: with its key, and without it for clients to trust. */
export function selfSignedPaths(dir: string): { readonly pair: string; readonly certificate: string } {
  return { pair: join(dir, 'self-signed.pem'), certificate: join(dir, 'self-signed.crt') };
}

/**
 * The certificate for development in `dir`: the one that is kept there, or a new one when there is none, when it ends within thirty days, when it
 * lacks a name, or when it is damaged (which `onTrouble` hears of). Of several processes that make one at once all get the same. Throws
 * `certificate_files_failed`, or `server_tls_invalid` for a domain that is none.
 */
export async function keepSelfSigned(
  dir: string,
  domain: string | undefined,
  onTrouble: (error: SallyportError) => void,
): Promise<ServedCertificate> {
  const names = domain === undefined || LOCAL.includes(domain) ? LOCAL : [domain, ...LOCAL];
  if (domain !== undefined && isIP(domain) === 0 && !isHostName(domain)) {
    throw new SallyportError('server_tls_invalid', { detail: `The domain ${JSON.stringify(domain)} is neither a host name nor an address.` });
  }
  const paths = selfSignedPaths(dir);
  await openFolder(dir);
  const kept = await loadKept(paths.pair, onTrouble);
  let certificate = kept?.certificate ?? null;
  if (certificate === null || !isGood(certificate, names)) {
    await storeCertificate(paths.pair, await makeSelfSigned(names, LIFETIME), { replace: kept !== null });
    certificate = await loadCertificate(paths.pair);
  }
  if (certificate === null) throw new SallyportError('certificate_files_failed', { detail: `${paths.pair} was removed while it was made.` });
  // It follows the other file, also where a crash came between the two.
  const shown = await onDisk(ifPresent(readFile(paths.certificate, 'utf8')), `${paths.certificate} cannot be read`);
  if (shown !== certificate.pair.cert) await placePublicFile(paths.certificate, certificate.pair.cert);
  return certificate;
}

/** Null when there is no file; a null certificate when it cannot be used. */
async function loadKept(
  path: string,
  onTrouble: (error: SallyportError) => void,
): Promise<{ readonly certificate: ServedCertificate | null } | null> {
  try {
    const certificate = await loadCertificate(path);
    return certificate === null ? null : { certificate };
  } catch (error) {
    onTrouble(asSallyportError(error));
    return { certificate: null };
  }
}

function isGood({ leaf, notBefore, notAfter }: ServedCertificate, names: readonly string[]): boolean {
  const now = Date.now();
  if (now < notBefore || now >= notAfter - RENEW_BEFORE) return false;
  return names.every((name) => (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name)) !== undefined);
}
