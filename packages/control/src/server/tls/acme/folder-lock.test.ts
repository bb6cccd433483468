import { readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { endScene, temporaryFolder } from '../tls-scene.test.support.js';
import { lockFolder } from './folder-lock.js';

const { signal } = new AbortController();
let dir: string;
beforeEach(async () => {
  dir = await temporaryFolder();
});
afterEach(endScene);

test('one process has it, and after it the next', async () => {
  const first = await lockFolder(dir, signal);
  expect(await first?.isHeld()).toBe(true);
  expect(await lockFolder(dir, signal)).toBeNull();
  await first?.release();
  expect(await readdir(dir)).toEqual([]);
  const second = await lockFolder(dir, signal);
  expect(second).not.toBeNull();
  await second?.release();
});

test('of many that come at once never two have it, and all get it in the end', async () => {
  let inside = 0;
  let most = 0;
  let passed = 0;
  async function pass(): Promise<void> {
    for (let lock = await lockFolder(dir, signal); ; lock = await lockFolder(dir, signal)) {
      if (lock === null) continue;
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      passed += 1;
      await lock.release();
      return;
    }
  }
  await Promise.all(Array.from({ length: 5 }, pass));
  expect([most, passed]).toEqual([1, 5]);
  expect(await readdir(dir)).toEqual([]);
});

test('that of a process which died is taken over, that of one which lives is not', async () => {
  const path = join(dir, 'lock-0123456789abcdef');
  await writeFile(path, '.');
  expect(await lockFolder(dir, signal)).toBeNull();
  const old = new Date(Date.now() - 61_000);
  await utimes(path, old, old);
  const lock = await lockFolder(dir, signal);
  expect(lock).not.toBeNull();
  expect((await readdir(dir)).length).toBe(1);
  await lock?.release();
});

test('a process whose lock was taken over learns it', async () => {
  const lock = await lockFolder(dir, signal);
  for (const name of await readdir(dir)) await rm(join(dir, name));
  expect(await lock?.isHeld()).toBe(false);
  await lock?.release();
});

test('whoever waits for it can be stopped', async () => {
  const lock = await lockFolder(dir, signal);
  await expect(lockFolder(dir, AbortSignal.abort())).rejects.toThrow('aborted');
  expect((await readdir(dir)).length).toBe(1);
  await lock?.release();
});
