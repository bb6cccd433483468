import { type FSWatcher, realpathSync, statSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Long enough for an editor to finish what it does to a file, short enough to feel immediate. */
const SETTLE_MS = 100;
/** Network and some container file systems send no events, and a directory that was replaced sends no more of them. */
const POLL_MS = 10_000;

/**
 * Calls `onChange` after the configuration file or one of the files it names has changed, appeared or gone, once what happens has settled,
 * and at most once per change. Keeps no process alive. The function that is returned ends the watch; `onChange` is not called after it.
 *
 * Directories are watched, not files: editors and deployment tools replace a file by renaming another over it, or by turning a symbolic
 * link, and a watch on the file would stay with the old one.
 */
export function watchConfig(path: string, files: readonly string[], onChange: () => void): () => void {
  const watched = [...new Set([path, ...files].map((file) => resolve(file)))];
  const watchers = new Map<string, FSWatcher>();
  let reported = signature(watched);
  let last = reported;
  let settling: NodeJS.Timeout | null = null;
  let ended = false;

  function arm(): void {
    const directories = new Set(watched.flatMap((file) => [dirname(file), dirname(realPath(file))]));
    for (const [directory, watcher] of watchers) {
      if (!directories.has(directory)) forget(directory, watcher);
    }
    for (const directory of directories) {
      if (watchers.has(directory)) continue;
      try {
        const watcher = watch(directory, { persistent: false }, settle);
        watcher.on('error', () => forget(directory, watcher));
        watchers.set(directory, watcher);
      } catch {
        // Not there, or no watches left: the poll sees to it.
      }
    }
  }

  function forget(directory: string, watcher: FSWatcher): void {
    watcher.close();
    watchers.delete(directory);
  }

  function settle(): void {
    // Not restarted by further events: a log file that grows in the same directory would put the look off forever.
    if (ended || settling !== null) return;
    settling = setTimeout(look, SETTLE_MS).unref();
  }

  function look(): void {
    settling = null;
    // First, so that no change falls between the look and the watch on a directory that is new.
    arm();
    const now = signature(watched);
    const settled = now === last;
    last = now;
    if (!settled) {
      settle();
    } else if (now !== reported) {
      reported = now;
      onChange();
    }
  }

  function poll(): void {
    arm();
    if (signature(watched) !== reported) settle();
  }

  arm();
  const polling = setInterval(poll, POLL_MS).unref();
  return () => {
    ended = true;
    clearInterval(polling);
    if (settling !== null) clearTimeout(settling);
    for (const [directory, watcher] of watchers) forget(directory, watcher);
  };
}

/** What changes when the content of any of the files may have changed. */
function signature(files: readonly string[]): string {
  return files.map(signatureOf).join(' ');
}

function signatureOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch {
    // Gone, or behind a directory that may not be entered: a state like any other.
    return '-';
  }
}

function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
