import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open } from 'node:fs/promises';
import { SallyportError } from '@sallyport/sdk';
import { ifPresent } from '../durable-files.js';
import { errorCode } from '../unavailable.js';

const SIZE_LIMIT = 1024 * 1024;
/** Windows has no such modes: what it reports says nothing about who may read. */
const HAS_MODES = process.platform !== 'win32';

/** A `token_store_failed` error about a path. Takes no cause: nothing of what is kept may come out. */
export function fileFailure(path: string, what: string, hint?: string): SallyportError {
  return new SallyportError('token_store_failed', { detail: `${path} ${what}.`, ...(hint === undefined ? {} : { hint }) });
}

/** The error as a `token_store_failed` one that names the path, unless it is one of ours already. */
export function asFileFailure(path: string, error: unknown): SallyportError {
  if (error instanceof SallyportError) return error;
  const hints: Readonly<Record<string, string>> = {
    EACCES: 'Let the user that Sallyport runs as read and write the folder.',
    EROFS: 'Put the tokens on a file system that can be written.',
    ENOSPC: 'Make room on the file system.',
    ENOTSUP: 'Put the tokens on a file system that has hard links, or use another store.',
    EPERM: 'Put the tokens on a file system that has hard links, or use another store.',
  };
  return fileFailure(path, `cannot be used (${errorCode(error)})`, hints[errorCode(error)]);
}

/**
 * The content of a private regular file of at most 1 MiB; null when there is none. A symbolic link, a file of another user and one that others can
 * read or write are refused: whoever can put a link or a file there chooses which token is used, and learns the next one.
 */
export async function readPrivateFile(path: string): Promise<Buffer | null> {
  let handle: FileHandle | undefined;
  try {
    // Without O_NONBLOCK the opening of a FIFO would hold a thread of the pool until somebody writes to it.
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = await handle.stat();
    if (!stats.isFile()) throw fileFailure(path, 'is not a regular file');
    checkPrivate(path, stats, 'chmod 600');
    if (stats.size > SIZE_LIMIT) throw fileFailure(path, 'is larger than 1 MiB', 'Name the file that holds the token and nothing else.');
    const bytes = await handle.readFile();
    return bytes;
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return null;
    if (code === 'ELOOP') throw fileFailure(path, 'is a symbolic link', 'Name the file itself.');
    throw asFileFailure(path, error);
  } finally {
    await handle?.close();
  }
}

/** Makes the folder with all above it that is missing, 0700. Refuses the same as `isPrivateFolder`. */
export async function ensurePrivateFolder(path: string): Promise<void> {
  if (await isPrivateFolder(path)) return;
  await mkdir(path, { recursive: true, mode: 0o700 });
  await isPrivateFolder(path);
}

/** False when there is nothing. Refuses what is no folder, a symbolic link to one, and a folder that others may enter or that another user owns. */
export async function isPrivateFolder(path: string): Promise<boolean> {
  const stats = await ifPresent(lstat(path));
  if (stats === null) return false;
  if (!stats.isDirectory()) throw fileFailure(path, 'is not a folder');
  checkPrivate(path, stats, 'chmod 700');
  return true;
}

function checkPrivate(path: string, { mode, uid }: Stats, command: string): void {
  if (!HAS_MODES) return;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  if ((mode & 0o077) !== 0) throw fileFailure(path, `can be used by others (mode ${shown})`, `Run ${command} on it.`);
  if (uid !== process.geteuid?.()) throw fileFailure(path, `belongs to another user (uid ${uid})`, 'Give it to the user that Sallyport runs as.');
}
