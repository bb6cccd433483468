import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, ifPresent, placeFile } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { nameText, readNames } from './alternative-names.js';
import { makeRequest } from './certificate-request.js';

export interface EnrollOptions {
  /** DNS names and IP addresses that clients call; at least one. */
  readonly domains: readonly string[];
  readonly commonName: string;
  /** Where `server.key` and `server.csr` go; made when it is missing. */
  readonly directory: string;
  /** Replaces files that are there. */
  readonly force: boolean;
}

/** What was made. */
export interface Enrollment {
  readonly keyPath: string;
  readonly csrPath: string;
  /** PEM. */
  readonly csr: string;
  /** The names that are asked for, such as `dns:proxy.example.com`. */
  readonly names: readonly string[];
}

/**
 * Makes a P-256 key (`server.key`, PKCS#8) and a request for its certificate (`server.csr`), both 0600: the key first, so that there is never a
 * request without its key, and each at once. Throws `certificate_name_invalid`, `certificate_files_exist` when either is there and `force` is not
 * set, `certificate_files_failed`.
 */
export async function enroll({ domains, commonName, directory, force }: EnrollOptions): Promise<Enrollment> {
  const names = readNames(domains);
  const { key, csr } = await makeRequest({ commonName, names });
  const [keyPath, csrPath] = [join(directory, 'server.key'), join(directory, 'server.csr')];
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  await placeFiles(directory, force, [
    { path: keyPath, text: keyPem },
    { path: csrPath, text: csr },
  ]);
  return { keyPath, csrPath, csr, names: names.map(nameText) };
}

/** A file of a set; null for one that must not be left from an earlier set. */
interface FileToPlace {
  readonly path: string;
  readonly text: string | null;
}

/**
 * Puts files that belong together (0600) into a directory, in this order. Without `force` nothing is written when one of them is there. With it, all
 * but the first are removed before the first is replaced, so that what is there always belongs to it. Throws `certificate_files_exist`,
 * `certificate_files_failed`.
 */
export async function placeFiles(directory: string, force: boolean, files: readonly FileToPlace[]): Promise<void> {
  let current = directory;
  try {
    await mkdir(directory, { recursive: true, mode: 0o750 });
    for (const { path } of files) {
      current = path;
      if (!force && (await ifPresent(stat(path))) !== null) throw filesExist(path);
    }
    for (const { path } of force ? files.slice(1) : []) {
      current = path;
      await rm(path, { force: true });
    }
    for (const { path, text } of files) {
      current = path;
      if (text !== null) await place(path, text, force);
    }
  } catch (cause) {
    if (cause instanceof SallyportError) throw cause;
    throw new SallyportError('certificate_files_failed', { detail: `${current} cannot be written (${errorCode(cause)}).`, cause });
  }
}

async function place(path: string, text: string, force: boolean): Promise<void> {
  try {
    await placeFile(path, text, { replace: force });
  } catch (error) {
    // Somebody else has made it since it was looked for.
    if (errorCode(error) === 'EEXIST') throw filesExist(path);
    throw error;
  }
}

function filesExist(path: string): SallyportError {
  return new SallyportError('certificate_files_exist', { detail: `${path} is there already; nothing was written.` });
}
