import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchFile } from './file-watch.js';

let dir = '';
let stop = (): void => {};

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sallyport-watch-'));
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});

afterEach(async () => {
  stop();
  vi.restoreAllMocks();
  vi.useRealTimers();
  await rm(dir, { recursive: true, force: true });
});

/** Starts the watch; each call of the result answers the next report that comes after it. */
function reports(path: string): () => Promise<void> {
  let report = (): void => {};
  stop = watchFile(path, () => report());
  return () =>
    new Promise((resolve) => {
      report = resolve;
    });
}

/** The file is old enough for its state to be believed. */
async function aged(path: string): Promise<void> {
  await vi.waitFor(async () => expect(Date.now() - (await stat(path)).ctimeMs).toBeGreaterThan(50));
}

test('the poll finds what raises no event: the target of a link in another directory', async () => {
  await mkdir(join(dir, 'here'));
  await mkdir(join(dir, 'there'));
  const target = join(dir, 'there', 'token');
  await writeFile(target, 'one');
  await aged(target);
  await symlink(target, join(dir, 'here', 'token'));
  const next = reports(join(dir, 'here', 'token'));

  const first = next();
  vi.advanceTimersByTime(10_000);
  await first;
  const second = next();
  await writeFile(target, 'two');
  vi.advanceTimersByTime(10_000);
  await second;
});

test('a state so young that the next content might look the same is not believed', async () => {
  const path = join(dir, 'token');
  await writeFile(path, 'one');
  vi.spyOn(Date, 'now').mockReturnValue((await stat(path)).ctimeMs + 5);
  const next = reports(path);
  for (let look = 0; look < 3; look += 1) {
    const report = next();
    vi.advanceTimersByTime(10_000);
    await report;
  }
});

test('a directory that comes later, goes and comes again is watched each time', async () => {
  const path = join(dir, 'late', 'token');
  const next = reports(path);
  const absent = next();
  vi.advanceTimersByTime(10_000);
  await absent;

  for (const round of ['one', 'two']) {
    const appeared = next();
    await mkdir(join(dir, 'late'));
    await writeFile(path, round);
    await aged(path);
    vi.advanceTimersByTime(10_000);
    await appeared;

    const event = next();
    await writeFile(path, `${round} changed`);
    await event;

    const vanished = next();
    await rm(join(dir, 'late'), { recursive: true });
    await vanished;
  }
});

test('nothing is reported after the end', async () => {
  const path = join(dir, 'token');
  await writeFile(path, 'one');
  const report = vi.fn();
  stop = watchFile(path, report);
  await writeFile(path, 'two');
  stop();
  // A second watch that starts later reports the same kind of change: had the first one still been alive, it would have been first.
  const next = reports(path)();
  await writeFile(path, 'three');
  await next;
  expect(report).not.toHaveBeenCalled();
});
