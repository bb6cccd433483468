import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { SallyportError } from '@sallyport/sdk';
import { pemCertificates } from '../pem.js';
import { readPair } from '../renewal/pair-files.js';
import { ClientTrust } from './client-trust.js';
import { type RevocationList, readRevocationList, revocationListsIn } from './revocation-list.js';

/** Paths of PEM files, as the configuration names them; the revocation lists may be DER. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly client_ca?: readonly string[] | undefined;
  readonly crl?: readonly string[] | undefined;
}

/** What a listener needs to speak TLS: checked, so that OpenSSL takes it. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
  /** What clients are verified against; null for a listener that asks for no certificate. */
  readonly trust: ClientTrust | null;
}

const LARGEST_FILE = 1_048_576;
const LARGEST_LIST = 16_777_216;

/**
 * Reads the files of a listener and makes sure that they fit together: the key belongs to the certificate, nothing has expired, every block can be
 * read, every list is signed. `place` is their key in the configuration. Throws `tls_files_invalid`, which says what is wrong with which file.
 */
export async function readListenerTls(files: TlsFiles, place: string, now = Date.now()): Promise<ListenerTls> {
  // Whatever is wrong with one of them alone is said first; together they may be halfway through a renewal, which is finished here.
  await readBounded(files.cert, LARGEST_FILE, `${place}.cert`);
  await readBounded(files.key, LARGEST_FILE, `${place}.key`);
  const { cert, key } = await readPair({ cert: files.cert, key: files.key });
  const [leaf] = certificatesIn(cert, files.cert, `${place}.cert`);
  if (now < Date.parse(leaf.validFrom)) throw unusable(files.cert, `${place}.cert`, `is not valid before ${iso(leaf.validFrom)}`);
  if (now >= Date.parse(leaf.validTo)) throw unusable(files.cert, `${place}.cert`, `has expired (${iso(leaf.validTo)})`);
  if (!leaf.checkPrivateKey(privateKey(key, files.key, `${place}.key`))) {
    throw unusable(files.key, `${place}.key`, `is not the key of the certificate in ${files.cert}`);
  }
  const trust =
    files.client_ca === undefined ? null : await readClientTrust({ ca: files.client_ca, crl: files.crl }, `${place}.client_ca`, place, now);
  try {
    createSecureContext({ cert, key, ...(trust === null ? {} : { ca: [...trust.ca], crl: [...trust.crl] }) });
  } catch (cause) {
    throw unusable(files.cert, place, `is not accepted by OpenSSL (${codeOf(cause)})`, cause);
  }
  return { cert, key, trust };
}

/**
 * Reads authorities and their revocation lists. Every authority needs a list as soon as there is one: otherwise nobody with a certificate of it would
 * get in. `caPlace` and `place` are for the messages. Throws `tls_files_invalid`.
 */
export async function readClientTrust(
  files: { readonly ca: readonly string[]; readonly crl?: readonly string[] | undefined },
  caPlace: string,
  place: string,
  now = Date.now(),
): Promise<ClientTrust> {
  const authorities = new Map<string, X509Certificate>();
  for (const path of files.ca) {
    const text = (await readBounded(path, LARGEST_FILE, caPlace)).toString('utf8');
    for (const [index, one] of certificatesIn(text, path, caPlace).entries()) {
      if (!one.ca) throw unusable(path, caPlace, `holds a certificate that is no authority, number ${index + 1}`);
      authorities.set(one.fingerprint256, one);
    }
  }
  const [first = ''] = files.ca;
  const all = [...authorities.values()];
  // OpenSSL trusts nothing that does not end in a root, and an expired one is as good as none.
  const roots = all.filter((one) => one.checkIssued(one));
  if (roots.length === 0) throw unusable(first, caPlace, 'holds no root, only intermediate authorities; add the root that they come from');
  if (roots.every(({ validTo }) => Date.parse(validTo) <= now)) throw unusable(first, caPlace, 'holds only roots that have expired');
  const lists: RevocationList[] = [];
  for (const path of files.crl ?? []) lists.push(...(await readLists(path, all, `${place}.crl`, now)));
  const unlisted = files.crl === undefined ? undefined : all.find(({ fingerprint256 }) => !lists.some(({ issuer }) => issuer === fingerprint256));
  if (unlisted !== undefined) {
    const detail = `${place}.crl holds no revocation list of the authority with the fingerprint sha256:${unlisted.fingerprint256}.`;
    throw new SallyportError('tls_files_invalid', { detail, hint: 'Add the list of this authority, or take the authority out of the bundle.' });
  }
  return new ClientTrust(all, lists);
}

async function readLists(path: string, authorities: readonly X509Certificate[], place: string, now: number): Promise<RevocationList[]> {
  const found = revocationListsIn(await readBounded(path, LARGEST_LIST, place));
  if (found.length === 0) throw unusable(path, place, 'holds no revocation list, neither PEM (X509 CRL) nor DER');
  return found.map((der) => {
    try {
      return readRevocationList(der, authorities, now);
    } catch (cause) {
      throw unusable(path, place, cause instanceof Error ? cause.message : String(cause), cause);
    }
  });
}

function certificatesIn(text: string, path: string, place: string): [X509Certificate, ...X509Certificate[]] {
  const [first, ...rest] = pemCertificates(text).map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw unusable(path, place, `holds a damaged certificate, number ${index + 1}`, cause);
    }
  });
  if (first === undefined) throw unusable(path, place, 'holds no PEM certificate');
  return [first, ...rest];
}

function privateKey(pem: string, path: string, place: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    if (/BEGIN ENCRYPTED|ENCRYPTED$/m.test(pem))
      throw unusable(path, place, 'is encrypted; name a file with the plain key that only this user can read');
    // The cause is not kept: nothing that was said about a key should travel.
    throw unusable(path, place, `holds no private key in PEM form (${codeOf(cause)})`);
  }
}

async function readBounded(path: string, limit: number, place: string): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size > limit) throw unusable(path, place, `is larger than ${limit / 1_048_576} MiB`);
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof SallyportError) throw cause;
    throw unusable(path, place, `cannot be read (${codeOf(cause)})`, cause);
  }
}

function iso(date: string): string {
  return new Date(date).toISOString();
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'unknown reason';
}

function unusable(path: string, place: string, what: string, cause?: unknown): SallyportError {
  return new SallyportError('tls_files_invalid', { detail: `The file ${path} under \`${place}\` ${what}.`, cause });
}
