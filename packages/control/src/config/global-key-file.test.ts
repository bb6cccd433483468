import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openProvider } from '../keys/open-provider.js';
import { probeProvider } from '../keys/provider.js';
import { makeKeyFile } from './global-key-file.js';

let directory = '';
let path = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-key-'));
  path = join(directory, 'data', 'global.key');
});
afterEach(() => rm(directory, { recursive: true }));

const empty = async (): Promise<boolean> => true;
const used = async (): Promise<boolean> => false;

test('the first start makes a key for its owner alone, and nothing besides', async () => {
  await makeKeyFile(path, empty);
  const text = await readFile(path, 'utf8');
  expect(text).toMatch(/^[A-Za-z0-9_-]{43}\n$/);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
  expect(await readdir(dirname(path))).toEqual(['global.key']);
  await probeProvider(openProvider({ type: 'file', path }, { env: {} }), AbortSignal.timeout(10_000));
});

test('what is there stays, whatever it is, and nobody is asked', async () => {
  await makeKeyFile(path, empty);
  await writeFile(path, 'a key of somebody who made it by hand');
  await makeKeyFile(path, () => Promise.reject(new Error('asked')));
  expect(await readFile(path, 'utf8')).toBe('a key of somebody who made it by hand');
});

test('processes that start together get the same', async () => {
  await Promise.all(Array.from({ length: 8 }, () => makeKeyFile(path, empty)));
  const made = await readFile(path, 'utf8');
  await makeKeyFile(path, empty);
  expect(await readFile(path, 'utf8')).toBe(made);
  expect(await readdir(dirname(path))).toEqual(['global.key']);
});

test('a database that was encrypted gets no other key', async () => {
  await expect(makeKeyFile(path, used)).rejects.toMatchObject({ code: 'global_key_missing' });
  await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a key that others can read is refused', async () => {
  await makeKeyFile(path, empty);
  await chmod(path, 0o640);
  await expect(makeKeyFile(path, used)).rejects.toMatchObject({ code: 'global_key_exposed' });
});
