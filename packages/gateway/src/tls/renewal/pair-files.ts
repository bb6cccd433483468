import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorCode, syncFolders, writeNewFile } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { keyIdentifier } from '../certificate-fields.js';
import type { KeyPair } from './rehearsal.js';

/**
 * The two files of a certificate and its key, and how they change together. ID is the key identifier of the new key:
 *
 *   1. the certificate is written as `server.crt.renewal-ID`, the key as `server.key.renewal-ID`, the old key as `server.key.renewal-ID.old`
 *   2. the key is renamed to `server.key`
 *   3. the certificate is renamed to `server.crt`, and the copy is removed
 *
 * Each step is on disk before the next. Before step 2 the old pair is whole. After it, the certificate that belongs to the key is found by the
 * identifier of the key, so whoever reads the pair can do step 3 in place of the one who did not get there.
 */
export interface PairFiles {
  /** Path of the certificate with its chain. A symbolic link stays one: what changes is the file that it leads to. */
  readonly cert: string;
  /** Path of the private key. A pair in one file can be read, not replaced. */
  readonly key: string;
}

/**
 * The pair in these files, after an installation that was interrupted has been finished. Where that is not possible (a read-only mount) the pair
 * is answered all the same. Halves that do not belong together are answered as they are: whoever uses them says what is wrong. Rejects with the
 * error of the system when a file cannot be read.
 */
export async function readPair(given: PairFiles): Promise<KeyPair> {
  const files = await resolved(given);
  const found = await readBoth(files);
  if (belongTogether(found)) return found;
  const pending = pendingCertificate(files, found.key);
  const cert = pending === null ? null : await readFile(pending, 'utf8').catch(() => null);
  if (pending !== null && cert !== null && belongTogether({ cert, key: found.key })) {
    await rename(pending, files.cert).catch(() => {});
    return { cert, key: found.key };
  }
  // Another process may have been between its two steps.
  return readBoth(files);
}

/**
 * Replaces the pair in these files, so that a crash at any moment leaves what `readPair` answers as the old pair or the new one. The key file becomes
 * 0600, the certificate 0644. Throws `certificate_not_persisted`, and then the old pair is in place.
 */
export async function persistPair(given: PairFiles, pair: KeyPair): Promise<void> {
  const step = { failing: `${given.cert} or ${given.key} cannot be read` };
  try {
    const formerKey = (await readPair(given)).key;
    const files = await resolved(given);
    if (files.cert === files.key) throw new Error('both are in one file');
    const temporary = temporaryPaths(files, pair.key);
    await prepare(files, temporary, { pair, formerKey }, step);
    await publish(files, temporary, step);
    // Should the new name of the certificate get lost in a crash, it is found under the other one.
    await syncFolders(dirname(files.cert)).catch(() => {});
    // If it stays, the next installation removes it.
    await rm(temporary.formerKey, { force: true }).catch(() => {});
  } catch (cause) {
    throw new SallyportError('certificate_not_persisted', {
      detail: `The new certificate was not taken into use: ${step.failing} (${errorCode(cause)}).`,
      cause,
    });
  }
}

interface TemporaryPaths extends PairFiles {
  readonly formerKey: string;
}

/** Step 1. */
async function prepare(
  files: PairFiles,
  temporary: TemporaryPaths,
  { pair, formerKey }: { pair: KeyPair; formerKey: string },
  step: { failing: string },
): Promise<void> {
  try {
    step.failing = `the directory of ${files.cert} cannot be written to`;
    await removeLeftovers(files);
    await writeNewFile(temporary.cert, pair.cert, 0o644);
    step.failing = `the directory of ${files.key} cannot be written to`;
    await writeNewFile(temporary.key, pair.key, 0o600);
    await writeNewFile(temporary.formerKey, formerKey, 0o600);
    await syncFolders(dirname(files.cert), dirname(files.key));
  } catch (error) {
    await discard(temporary);
    throw error;
  }
}

/** Steps 2 and 3. The key goes back when the certificate cannot follow it. */
async function publish(files: PairFiles, temporary: TemporaryPaths, step: { failing: string }): Promise<void> {
  try {
    step.failing = `${files.key} cannot be replaced`;
    await rename(temporary.key, files.key);
  } catch (error) {
    await discard(temporary);
    throw error;
  }
  try {
    await syncFolders(dirname(files.key));
    step.failing = `${files.cert} cannot be replaced`;
    await rename(temporary.cert, files.cert);
  } catch (error) {
    // A reader may have done it for us.
    if (belongTogether(await readBoth(files).catch(() => null))) return;
    // Should this fail too, the pending certificate stays where readers of the new key find it.
    await rename(temporary.formerKey, files.key);
    await syncFolders(dirname(files.key));
    await discard(temporary);
    throw error;
  }
}

async function discard(temporary: TemporaryPaths): Promise<void> {
  await Promise.all([temporary.cert, temporary.key, temporary.formerKey].map((path) => rm(path, { force: true })));
}

/** Removes what an installation that never got to its end has left behind: a key that nothing was signed for, and copies. */
async function removeLeftovers(files: PairFiles): Promise<void> {
  // Otherwise the certificate of the key that is in place may be among them.
  if (!belongTogether(await readBoth(files))) return;
  for (const path of [files.cert, files.key]) {
    const prefix = `${basename(path)}.renewal-`;
    const left = (await readdir(dirname(path))).filter((name) => name.startsWith(prefix) && /^[0-9a-f]{40}(\.old)?$/.test(name.slice(prefix.length)));
    for (const name of left) await rm(join(dirname(path), name), { force: true });
  }
}

function temporaryPaths(files: PairFiles, key: string): TemporaryPaths {
  const suffix = `.renewal-${keyIdentifier(createPrivateKey(key)).toString('hex')}`;
  return { cert: `${files.cert}${suffix}`, key: `${files.key}${suffix}`, formerKey: `${files.key}${suffix}.old` };
}

function pendingCertificate(files: PairFiles, key: string): string | null {
  try {
    return temporaryPaths(files, key).cert;
  } catch {
    return null;
  }
}

async function resolved({ cert, key }: PairFiles): Promise<PairFiles> {
  return { cert: await realpath(cert), key: await realpath(key) };
}

async function readBoth(files: PairFiles): Promise<KeyPair> {
  // The certificate first: it is published last, so that of a finished pair is never seen without its key.
  const cert = await readFile(files.cert, 'utf8');
  return { cert, key: await readFile(files.key, 'utf8') };
}

function belongTogether(pair: KeyPair | null): boolean {
  try {
    return pair !== null && new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key));
  } catch {
    return false;
  }
}
