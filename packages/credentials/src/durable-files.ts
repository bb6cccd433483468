import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from './unavailable.js';

/**
 * Writes a new file whose content would survive a crash, with that mode whatever the umask, when this resolves; its name may not survive yet.
 * Rejects with `EEXIST` when there is one already.
 */
export async function writeNewFile(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.chmod(mode);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Resolves once what was created, renamed and removed in these folders would survive a crash. */
export async function syncFolders(...folders: readonly string[]): Promise<void> {
  // Windows cannot open a folder; NTFS journals names by itself.
  if (process.platform === 'win32') return;
  for (const folder of new Set(folders)) {
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/**
 * Puts a whole file (0600) at `path` in one step, which would survive a crash when this resolves. Rejects with `EEXIST` where something is already
 * there, unless `replace` is set. What is not finished leaves nothing under that name.
 */
export async function placeFile(path: string, text: string, { replace }: { replace: boolean }): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await writeNewFile(temporary, text, 0o600);
    // Unlike rename, link refuses a name that is taken.
    await (replace ? rename(temporary, path) : link(temporary, path));
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolders(dirname(path));
}

/** What an operation on a file resolves with; null when there is no such file. */
export async function ifPresent<T>(operation: Promise<T>): Promise<T | null> {
  try {
    return await operation;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}
