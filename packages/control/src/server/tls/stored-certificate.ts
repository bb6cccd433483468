import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, ifPresent, placeFile, syncFolders, writeNewFile } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { type KeyPair, readCertificate, readTlsFile, type ServedCertificate, unusable } from './served-certificate.js';

const PRIVATE_KEY = /-----BEGIN PRIVATE KEY-----[A-Za-z0-9+/=\s]*-----END PRIVATE KEY-----\n?/;
/** What `placeFile` and `placePublicFile` leave behind when the process dies between writing and renaming. */
const UNFINISHED = /\.(pem|crt|json)\.[0-9a-f]{16}$/;
/** Longer than any write takes: a file of this age belongs to nobody any more. */
const ABANDONED_MS = 60 * 60_000;

/**
 * Makes the folder (0700) when it is missing, makes sure that nobody but its owner can exchange files in it, and removes what a process that died
 * while it wrote has left. Throws `certificate_files_failed`.
 */
export async function openFolder(dir: string): Promise<void> {
  await onDisk(mkdir(dir, { recursive: true, mode: 0o700 }), `${dir} cannot be made`);
  const { mode } = await onDisk(stat(dir), `${dir} cannot be read`);
  if ((mode & 0o022) !== 0) {
    throw new SallyportError('certificate_files_failed', {
      detail: `Others can write to ${dir} (mode ${(mode & 0o7777).toString(8)}), so they could exchange the certificate.`,
      hint: `Run: chmod 700 ${dir}`,
    });
  }
  await onDisk(removeAbandoned(dir), `${dir} cannot be cleaned up`);
}

/**
 * The certificate in a file that holds its key too; null when there is no such file. One file for both, so that no crash and no second process can
 * ever leave halves of two pairs. Throws `tls_files_invalid` when the file is damaged, or when others than its owner can read it.
 */
export async function loadCertificate(path: string): Promise<ServedCertificate | null> {
  const found = await onDisk(ifPresent(stat(path)), `${path} cannot be read`);
  if (found === null) return null;
  const { mode } = found;
  if ((mode & 0o077) !== 0) throw unusable(path, `can be used by others than its owner (mode ${(mode & 0o7777).toString(8)}); run chmod 600 on it`);
  const text = await readTlsFile(path);
  const [key] = PRIVATE_KEY.exec(text) ?? [];
  if (key === undefined) throw unusable(path, 'holds no private key in PEM form (PKCS#8)');
  return readCertificate({ cert: text.replace(PRIVATE_KEY, ''), key }, { cert: path, key: path });
}

/**
 * Puts a certificate and its key into one file (0600), in one step that would survive a crash when this resolves. Without `replace` what is there
 * already stays. Throws `certificate_files_failed`, and then the old file is in place.
 */
export async function storeCertificate(path: string, { cert, key }: KeyPair, { replace }: { replace: boolean }): Promise<void> {
  const place = placeFile(path, `${key.trimEnd()}\n${cert}`, { replace }).catch((error: unknown) => {
    if (replace || errorCode(error) !== 'EEXIST') throw error;
  });
  await onDisk(place, `${path} cannot be written`);
}

/** Puts a file that everybody may read (0644) at `path`, in one step that would survive a crash. Throws `certificate_files_failed`. */
export async function placePublicFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  async function place(): Promise<void> {
    try {
      await writeNewFile(temporary, text, 0o644);
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
    await syncFolders(dirname(path));
  }
  await onDisk(place(), `${path} cannot be written`);
}

/** What an operation on a file resolves with. Throws `certificate_files_failed` with what the problem is and the reason of the system. */
export async function onDisk<T>(operation: Promise<T>, problem: string): Promise<T> {
  try {
    return await operation;
  } catch (cause) {
    if (cause instanceof SallyportError) throw cause;
    throw new SallyportError('certificate_files_failed', { detail: `${problem} (${errorCode(cause)}).`, cause });
  }
}

async function removeAbandoned(dir: string): Promise<void> {
  for (const name of (await readdir(dir)).filter((each) => UNFINISHED.test(each))) {
    const path = join(dir, name);
    const found = await ifPresent(stat(path));
    if (found !== null && Date.now() - found.mtimeMs > ABANDONED_MS) await rm(path, { force: true });
  }
}
