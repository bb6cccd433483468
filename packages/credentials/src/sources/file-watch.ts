import { type BigIntStats, type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from '../unavailable.js';

/** A look at the file follows a first event by this much, so that a burst of events costs one look. */
const SETTLE_MS = 50;
/** Network file systems, links into other directories and directories that come and go raise no events; there the poll finds the change. */
const POLL_MS = 10_000;
/** Time stamps of files advance in ticks of up to 10 ms, and two writes within one leave the same stamp. */
const TICK_MS = 20;

/** What tells one content of a file from another without reading it. */
export function fileState(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

/**
 * Calls back after the file behind an absolute path has changed, appeared or vanished, and once after the first look; returns the function
 * that ends it. One look per 50 ms at most. Watches the directory, because a watch on the file itself stays with the old inode after a rename.
 */
export function watchFile(path: string, changed: () => void): () => void {
  let watcher: FSWatcher | null = null;
  // Null until the first look: a state taken now could already be younger than what its reader has read.
  let known: string | null = null;
  let pending: NodeJS.Timeout | null = null;
  let stopped = false;

  const attach = (): void => {
    watcher?.close();
    watcher = null;
    try {
      watcher = watch(dirname(path), { persistent: false }, schedule);
      watcher.on('error', () => watcher?.close());
    } catch {
      // No such directory yet, or no watches left: the poll stands in.
    }
  };
  const look = async (found: () => void): Promise<void> => {
    const state = await observe(path);
    if (stopped || (state === known && state !== null)) return;
    known = state;
    found();
  };
  const schedule = (): void => {
    if (stopped || pending !== null) return;
    pending = setTimeout(() => {
      pending = null;
      void look(changed);
    }, SETTLE_MS);
    pending.unref();
  };
  const poll = setInterval(() => {
    // The watch did not see this change, so it may sit on a directory that has been replaced.
    void look(() => {
      attach();
      changed();
    });
  }, POLL_MS);
  poll.unref();

  attach();
  return () => {
    stopped = true;
    watcher?.close();
    clearInterval(poll);
    if (pending !== null) clearTimeout(pending);
  };
}

/** The state of the file, the error code when there is none; null when it is so young that its next content might look the same. */
async function observe(path: string): Promise<string | null> {
  try {
    const stats = await stat(path, { bigint: true });
    return Date.now() - Number(stats.ctimeMs) < TICK_MS ? null : fileState(stats);
  } catch (error) {
    return errorCode(error);
  }
}
