import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ifPresent, placeFile, syncFolders, writeNewFile } from './durable-files.js';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-files-'));
  path = join(folder, 'one');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function written(): Promise<unknown> {
  return { text: await readFile(path, 'utf8'), mode: (await stat(path)).mode & 0o777, names: await readdir(folder) };
}

describe('a new file', () => {
  test.each([0, 0o022, 0o277])('has its mode under the umask %i', async (umask) => {
    const before = process.umask(umask);
    try {
      await writeNewFile(path, 'text', 0o640);
    } finally {
      process.umask(before);
    }
    expect(await written()).toEqual({ text: 'text', mode: 0o640, names: ['one'] });
  });

  test('does not take the place of another', async () => {
    await writeNewFile(path, 'first', 0o600);
    await expect(writeNewFile(path, 'second', 0o600)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await written()).toMatchObject({ text: 'first' });
  });
});

describe('a file that is placed', () => {
  test.each([true, false])('is whole and private, with nothing left beside it (replace: %s)', async (replace) => {
    await placeFile(path, 'text', { replace });
    expect(await written()).toEqual({ text: 'text', mode: 0o600, names: ['one'] });
  });

  test('replaces another only when it may', async () => {
    await writeFile(path, 'first', { mode: 0o644 });
    await expect(placeFile(path, 'second', { replace: false })).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await written()).toEqual({ text: 'first', mode: 0o644, names: ['one'] });
    await placeFile(path, 'second', { replace: true });
    expect(await written()).toEqual({ text: 'second', mode: 0o600, names: ['one'] });
  });

  test('leaves nothing behind when it cannot be put there', async () => {
    await mkdir(path);
    await expect(placeFile(path, 'text', { replace: true })).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(placeFile(join(folder, 'absent', 'two'), 'text', { replace: true })).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readdir(folder)).toEqual(['one']);
  });
});

test('only a folder can be synced as one', async () => {
  await writeFile(path, '');
  await syncFolders(folder, folder);
  await expect(syncFolders(path)).rejects.toMatchObject({ code: 'ENOTDIR' });
});

test('only what is not there is null', async () => {
  expect(await ifPresent(readFile(path))).toBeNull();
  await expect(ifPresent(readFile(folder))).rejects.toMatchObject({ code: 'EISDIR' });
  await writeFile(path, 'text');
  expect(await ifPresent(readFile(path, 'utf8'))).toBe('text');
});
