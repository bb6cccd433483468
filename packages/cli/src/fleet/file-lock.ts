import { randomUUID } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { SallyportError } from '@sallyport/sdk';

const TIME_LIMIT = 3_000;
const AGAIN_AFTER = 25;

/**
 * Does the work while no other process on this machine does any under the same lock file. The lock of a process that has died is taken over. Errors:
 * `fleet_register_failed` when another one holds it for longer than 3 s, and those of the work.
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const own = `${path}.${randomUUID()}`;
  await writeFile(own, `${process.pid}\n`, { mode: 0o600, flag: 'wx' });
  try {
    const deadline = Date.now() + TIME_LIMIT;
    // A link is there at once with its content, and for one process only.
    while (!(await linked(own, path))) {
      if (await holderIsGone(path)) await takeAway(own, path);
      else if (Date.now() > deadline) throw stillLocked(path);
      else await sleep(AGAIN_AFTER);
    }
    try {
      return await work();
    } finally {
      await rm(path, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** Two who find the same dead holder must not both remove the lock: the second would remove that of the first. */
async function takeAway(own: string, path: string): Promise<void> {
  const turn = `${path}.turn`;
  if (!(await linked(own, turn))) {
    if (await holderIsGone(turn)) throw stillLocked(turn);
    return sleep(AGAIN_AFTER);
  }
  try {
    if (await holderIsGone(path)) await rm(path, { force: true });
  } finally {
    await rm(turn, { force: true });
  }
}

async function linked(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function holderIsGone(path: string): Promise<boolean> {
  const pid = Number(await readFile(path, 'utf8').catch(() => ''));
  // Not there any more, or not of ours.
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

function stillLocked(path: string): SallyportError {
  return new SallyportError('fleet_register_failed', {
    detail: `Another process holds the lock ${path}.`,
    hint: 'Wait until it is done; when no `sallyport fleet` runs on this machine, remove the file.',
  });
}
