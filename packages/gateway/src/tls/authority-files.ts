import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, ifPresent, syncFolders, writeNewFile } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { keyIdentifier } from './certificate-fields.js';
import type { Root } from './root-certificate.js';

/**
 * The two files of an authority, and how they change together. A pair is published in this order, each step on disk before the next:
 *
 *   1. the certificate under a name that carries the id of its key: `ca.crt.KEYID`
 *   2. the key, at once, as `ca.key`
 *   3. the certificate is renamed to `ca.crt`
 *
 * Whoever finds a key without its certificate does step 3 in place of the one who did not get there. So a crash or a second process at any point
 * leaves the old pair or the new one, without a lock that could be left behind, and never halves of both.
 */
export interface AuthorityFiles {
  /** The text of `ca.crt`; null when there is no such file. */
  readonly certificate: string | null;
  /** The text of `ca.key`; null when there is no such file. */
  readonly key: string | null;
}

/** Where the two halves of the authority in `dir` are. */
export function authorityPaths(dir: string): { certificate: string; key: string } {
  return { certificate: join(dir, 'ca.crt'), key: join(dir, 'ca.key') };
}

/**
 * Makes sure that nobody but the owner can exchange files in `dir`, and makes the directory (0700) when it is missing and `create` says so.
 * Throws `authority_permissions` when others can write to it, `authority_invalid` when it cannot be used or is not there.
 */
export async function checkDirectory(dir: string, create: boolean): Promise<void> {
  if (create) await onDisk(mkdir(dir, { recursive: true, mode: 0o700 }), `${dir} cannot be made`);
  const stats = await onDisk(ifPresent(stat(dir)), `${dir} cannot be read`);
  if (stats === null) throw noAuthority(dir);
  if (!stats.isDirectory()) throw new SallyportError('authority_invalid', { detail: `${dir} is not a directory.` });
  if ((stats.mode & 0o022) !== 0) {
    throw new SallyportError('authority_permissions', {
      detail: `Others can write to the directory of the certificate authority, ${dir} (mode ${octal(stats.mode)}).`,
      hint: `Run: chmod 700 ${dir}`,
    });
  }
}

/**
 * Reads both halves, after finishing a publication that was interrupted. Throws `authority_permissions` when anyone but the owner can use the key
 * file, `authority_invalid` when a file cannot be read. Whether the halves are sound is not judged here.
 */
export async function readAuthorityFiles(dir: string): Promise<AuthorityFiles> {
  const files = await readBoth(dir);
  if (files.key === null || belongTogether(files)) return files;
  await finishPublication(dir, files.key);
  // Also when there was nothing to finish: another process may have been between the two files.
  return readBoth(dir);
}

/**
 * Publishes `root` in `dir`. Without `replace` nothing happens where there is a key already: of several processes that start at once, one wins and
 * all read what it wrote. Throws `authority_invalid` when the files cannot be written.
 */
export async function publishRoot(dir: string, root: Root, { replace }: { replace: boolean }): Promise<void> {
  const paths = authorityPaths(dir);
  const pending = pendingPath(dir, root.keyId);
  const newKey = `${paths.key}.${randomBytes(8).toString('hex')}`;
  const discard = async (): Promise<void> => {
    await rm(newKey, { force: true });
    await rm(pending, { force: true });
  };
  const publish = async (): Promise<void> => {
    try {
      await writeNewFile(pending, root.certificatePem, 0o644);
      await writeNewFile(newKey, root.keyPem, 0o600);
      await syncFolders(dir);
      // Unlike rename, link refuses a name that is taken: exactly one of several processes gets it.
      await (replace ? rename(newKey, paths.key) : link(newKey, paths.key));
    } catch (error) {
      await discard();
      if (!replace && errorCode(error) === 'EEXIST') return;
      throw error;
    }
    // From here on a failure leaves the pending certificate where the next reader finds it.
    await syncFolders(dir);
    // By way of the key that is there now: another process may have replaced ours a moment ago.
    await readAuthorityFiles(dir);
    await syncFolders(dir);
    await discard();
  };
  await onDisk(publish(), `The certificate authority cannot be written to ${dir}`);
}

/** The error for a directory that holds no authority. */
export function noAuthority(dir: string): SallyportError {
  return new SallyportError('authority_invalid', {
    detail: `There is no certificate authority in ${dir}.`,
    hint: 'The gateway makes one when it starts: run `sallyport serve`, or name another directory under `gateway.authority.dir`.',
  });
}

async function readBoth(dir: string): Promise<AuthorityFiles> {
  const paths = authorityPaths(dir);
  // The certificate first: it is published last, so the one of a finished pair is never seen without its key.
  const certificate = await readText(paths.certificate);
  return { certificate, key: await readText(paths.key, checkKeyMode) };
}

function belongTogether({ certificate, key }: AuthorityFiles): boolean {
  if (certificate === null || key === null) return false;
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

async function finishPublication(dir: string, key: string): Promise<void> {
  let pending: string;
  try {
    pending = pendingPath(dir, keyIdentifier(createPrivateKey(key)).toString('hex'));
  } catch {
    return;
  }
  // Asked first, because on a read-only file system renaming fails for another reason than that there is nothing to rename.
  if ((await ifPresent(stat(pending))) === null) return;
  await onDisk(ifPresent(rename(pending, authorityPaths(dir).certificate)), `${pending} cannot be renamed to ca.crt`);
}

function pendingPath(dir: string, keyId: string): string {
  return `${authorityPaths(dir).certificate}.${keyId}`;
}

async function readText(path: string, check?: (path: string, mode: number) => void): Promise<string | null> {
  const read = async (): Promise<string | null> => {
    const file = await ifPresent(open(path, 'r'));
    if (file === null) return null;
    try {
      // The mode of what was opened, which is what is read, whatever the name stands for a moment later.
      check?.(path, (await file.stat()).mode);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  };
  return onDisk(read(), `${path} cannot be read`);
}

function checkKeyMode(path: string, mode: number): void {
  if ((mode & 0o077) === 0) return;
  throw new SallyportError('authority_permissions', {
    detail: `Others than its owner can use the key of the certificate authority, ${path} (mode ${octal(mode)}).`,
    hint: `Run: chmod 600 ${path}. If somebody may have read the key, make a new authority with \`sallyport ca regenerate --confirm\`.`,
  });
}

async function onDisk<T>(operation: Promise<T>, problem: string): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    if (error instanceof SallyportError) throw error;
    throw new SallyportError('authority_invalid', {
      detail: `${problem} (${errorCode(error)}).`,
      hint: 'Check the path `gateway.authority.dir` and the rights of the user that runs Sallyport.',
      cause: error,
    });
  }
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
