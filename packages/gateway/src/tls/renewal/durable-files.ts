import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes a new file that is on disk, with that mode whatever the umask, when this resolves. Rejects with EEXIST when there is one already. */
export async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.chmod(mode);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What was created, renamed and removed in the directories of these files is on disk when this resolves. */
export async function syncDirectoriesOf(...paths: readonly string[]): Promise<void> {
  for (const directory of new Set(paths.map((path) => dirname(path)))) {
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/**
 * Puts a whole file (0600) at `path` in one step, on disk when this resolves. Rejects with EEXIST where something is already there, unless `replace`
 * is set. What is not finished leaves nothing under that name.
 */
export async function placeFile(path: string, text: string, { replace }: { replace: boolean }): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await writeDurably(temporary, text, 0o600);
    // Unlike rename, link refuses a name that is taken.
    await (replace ? rename(temporary, path) : link(temporary, path));
  } finally {
    await rm(temporary, { force: true });
  }
  await syncDirectoriesOf(path);
}

/** Makes a directory (0750) with those above it, if it is missing. */
export async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o750 });
}

/** What went wrong with a file, for people: the code of the system. */
export function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
}
