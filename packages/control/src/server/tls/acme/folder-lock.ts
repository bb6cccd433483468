import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ifPresent } from '@sallyport/credentials';

/** A folder that no other process works on. */
export interface FolderLock {
  /** Whether it is still so: a process that stood still for longer than a minute has lost its lock. */
  isHeld(): Promise<boolean>;
  release(): Promise<void>;
}

const PREFIX = 'lock-';
const SIGN_OF_LIFE_MS = 10_000;
const DEAD_AFTER_MS = 60_000;
const TRIES = 5;
const LONGEST_PAUSE_MS = 400;

/**
 * Locks a folder against other processes that do the same; null while another one has it. Each announces itself with a file of its own, looks for the
 * files of others, and withdraws when it finds one: whoever comes later sees whoever came earlier. A file that has shown no sign of life for a
 * minute is that of a process that died. Both times are those of the file system, so machines with different clocks can share a folder.
 */
export async function lockFolder(dir: string, signal: AbortSignal): Promise<FolderLock | null> {
  for (let left = TRIES; left > 0; left -= 1) {
    const lock = await announce(dir);
    try {
      if (!(await hasOthers(dir, lock.path))) return lock;
    } catch (error) {
      await lock.release();
      throw error;
    }
    await lock.release();
    // Two that came at the same time have both withdrawn.
    if (left > 1) await pause(Math.random() * LONGEST_PAUSE_MS, undefined, { signal });
  }
  return null;
}

async function announce(dir: string): Promise<FolderLock & { readonly path: string }> {
  const path = join(dir, `${PREFIX}${randomBytes(8).toString('hex')}`);
  const file = await open(path, 'wx', 0o600);
  await signOfLife(file);
  let last = Promise.resolve();
  const timer = setInterval(() => {
    // Where this fails the file grows old, and isHeld says so.
    last = last.then(() => signOfLife(file)).catch(() => {});
  }, SIGN_OF_LIFE_MS).unref();
  return {
    path,
    isHeld: async () => (await ifPresent(stat(path))) !== null,
    async release() {
      clearInterval(timer);
      await last;
      await file.close();
      await rm(path, { force: true });
    },
  };
}

/** Writing sets the time of the file to the clock of the file system. */
async function signOfLife(file: FileHandle): Promise<void> {
  await file.write('.', 0);
}

async function hasOthers(dir: string, own: string): Promise<boolean> {
  const now = (await stat(own)).mtimeMs;
  let found = false;
  for (const name of (await readdir(dir)).filter((each) => each.startsWith(PREFIX))) {
    const path = join(dir, name);
    if (path === own) continue;
    const other = await ifPresent(stat(path));
    if (other === null) continue;
    if (now - other.mtimeMs > DEAD_AFTER_MS) await rm(path, { force: true });
    else found = true;
  }
  return found;
}
