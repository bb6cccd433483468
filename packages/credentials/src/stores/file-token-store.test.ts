import fs, { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { directoryTokenStore, fileTokenStore } from './file-token-store.js';
import { encodeRecord, freshRecord } from './token-record-json.js';
import type { StoredToken, TokenStore } from './token-store.js';

const NEVER = new AbortController().signal;
const KEY = 'any';
let folder = '';
let file = '';
let store: TokenStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-tokens-'));
  file = join(folder, 'token');
  store = fileTokenStore(file);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const put = (text: string, mode = 0o600): Promise<void> => writeFile(file, text, { mode });
const token = async (): Promise<string> => (await store.read(KEY, NEVER)).record.refreshToken.reveal();

async function replace(text: string, from: StoredToken | null): Promise<StoredToken> {
  const stored = await store.replace(KEY, from?.version ?? null, freshRecord(new Secret(text)), NEVER);
  if (stored === null) throw new Error('the record was not replaced');
  return stored;
}

/** A chain of so many versions. */
async function versions(count: number): Promise<StoredToken> {
  let stored = await replace('1', null);
  for (let number = 2; number <= count; number += 1) stored = await replace(String(number), stored);
  return stored;
}

describe('a file that somebody else wrote', () => {
  test.each([
    ['token', 'token'],
    ['token\n', 'token'],
    ['token\r\n', 'token'],
    ['0.AX~ with spaces/+=', '0.AX~ with spaces/+='],
    [encodeRecord(freshRecord(new Secret('in a record'))), 'in a record'],
  ])('%j is read, replaced, and kept in the file as a record', async (text, expected) => {
    await put(text);
    const read = await store.read(KEY, NEVER);
    expect(read.record).toMatchObject({ superseded: [], lease: null, unknownSince: null });
    expect(read.record.refreshToken.reveal()).toBe(expected);
    await replace('next', read);
    expect(await token()).toBe('next');
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ version: 1, number: 1, refresh_token: 'next' });
  });

  test.each(['', '\n', '  ', ' token', 'two\nlines', 'tök', 'a\0b', '{"version":2}', '{"version":1,"refresh_token":"MARKER"}', '{'])(
    '%j is refused, without being quoted',
    async (text) => {
      await put(text);
      const error: unknown = await store.read(KEY, NEVER).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'token_store_failed', message: `${file} holds neither a token nor a record.` });
      expect(inspect(error, { depth: null })).not.toContain('MARKER');
    },
  );

  test('no bytes make it fail otherwise', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (bytes) => {
        await writeFile(file, bytes, { mode: 0o600 });
        await store.read(KEY, NEVER).catch((error: unknown) => expect(error).toMatchObject({ code: 'token_store_failed' }));
      }),
      { numRuns: 50 },
    );
  });

  test('what is written over the copy counts from then on, and is replaced like any other', async () => {
    const stored = await versions(3);
    await put('by hand\n');
    expect(await token()).toBe('by hand');
    expect(await store.replace(KEY, stored.version, freshRecord(new Secret('late')), NEVER)).toBeNull();
    await replace('after', await store.read(KEY, NEVER));
    expect(await token()).toBe('after');
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ number: 4, refresh_token: 'after' });
  });

  test('a crash before the copy does not make the old text new', async () => {
    await put('by hand\n');
    const first = await replace('1', await store.read(KEY, NEVER));
    await put('by hand\n');
    expect(await token()).toBe('1');
    await replace('2', first);
    await put('by hand\n');
    expect(await token()).toBe('2');
  });

  test('an old copy, an emptied file and a missing one hide nothing', async () => {
    const stored = await versions(1);
    const copy = await readFile(file, 'utf8');
    await replace('2', stored);
    await put(copy);
    expect(await token()).toBe('2');
    await put('');
    expect(await token()).toBe('2');
    await rm(file);
    expect(await token()).toBe('2');
  });

  test('the copy is enough when its folder is gone, or was restored from an old backup', async () => {
    await versions(3);
    const backup = await readFile(join(`${file}.versions`, '1.json'));
    await rm(`${file}.versions`, { recursive: true });
    expect(await token()).toBe('3');
    await mkdir(`${file}.versions`, { mode: 0o700 });
    await writeFile(join(`${file}.versions`, '1.json'), backup, { mode: 0o600 });
    expect(await token()).toBe('3');
    await replace('4', await store.read(KEY, NEVER));
    expect((await readdir(`${file}.versions`)).sort()).toEqual(['1.json', '4.json']);
  });
});

describe('who may read', () => {
  test('what is written is private, whatever the umask', async () => {
    const before = process.umask(0);
    try {
      await versions(2);
    } finally {
      process.umask(before);
    }
    const modes = await Promise.all(
      [file, `${file}.versions`, join(`${file}.versions`, '2.json')].map(async (path) => (await stat(path)).mode & 0o777),
    );
    expect(modes).toEqual([0o600, 0o700, 0o600]);
  });

  test.each([0o640, 0o604, 0o660, 0o666, 0o644])('a file with mode %o is refused', async (mode) => {
    await put('MARKER');
    await chmod(file, mode);
    const error: unknown = await store.read(KEY, NEVER).catch((reason: unknown) => reason);
    const shown = `${file} can be used by others (mode 0${mode.toString(8)}).`;
    expect(error).toMatchObject({ code: 'token_store_failed', message: shown, hint: 'Run chmod 600 on it.' });
    expect(await store.replace(KEY, null, freshRecord(new Secret('x')), NEVER).catch((reason: unknown) => reason)).toMatchObject({ message: shown });
  });

  test('so is a folder of versions', async () => {
    await versions(1);
    await chmod(`${file}.versions`, 0o755);
    await expect(store.read(KEY, NEVER)).rejects.toMatchObject({ message: expect.stringContaining('(mode 0755)'), hint: 'Run chmod 700 on it.' });
  });

  test.skipIf(process.geteuid?.() !== 0)('so is a file of another user', async () => {
    await put('token');
    process.seteuid?.(65_534);
    try {
      await expect(store.read(KEY, NEVER)).rejects.toMatchObject({ code: 'token_store_failed' });
    } finally {
      process.seteuid?.(0);
    }
  });

  test.each<[string, () => Promise<void>, RegExp]>([
    ['a symbolic link', () => symlink('/etc/hostname', file), /is a symbolic link/],
    ['a link to nowhere', () => symlink('/nowhere', file), /is a symbolic link/],
    ['a folder', () => mkdir(file), /is not a regular file/],
    ['a large file', () => put('x'.repeat(1024 * 1024 + 1)), /larger than 1 MiB/],
    ['a link in the place of the versions', () => symlink(tmpdir(), `${file}.versions`), /versions is not a folder/],
    ['a file in the place of the versions', () => writeFile(`${file}.versions`, ''), /versions is not a folder/],
  ])('%s is refused', async (_name, prepare, message) => {
    await prepare();
    const failure = { code: 'token_store_failed', message: expect.stringMatching(message) };
    await expect(store.read(KEY, NEVER)).rejects.toMatchObject(failure);
    await expect(store.replace(KEY, null, freshRecord(new Secret('x')), NEVER)).rejects.toMatchObject(failure);
  });

  test('a version that cannot be read is no reason to take an older one', async () => {
    await versions(3);
    await writeFile(join(`${file}.versions`, '3.json'), '{}');
    await expect(store.read(KEY, NEVER)).rejects.toMatchObject({ code: 'token_store_failed', message: expect.stringContaining('3.json') });
  });
});

describe('versions', () => {
  test('the last eight stay', async () => {
    await versions(20);
    expect((await readdir(`${file}.versions`)).map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b)).toEqual([
      13, 14, 15, 16, 17, 18, 19, 20,
    ]);
  });

  /** Does something at the moment when the next version gets its number, before or after the system call. */
  function atNextLink(when: 'before' | 'after', action: () => Promise<unknown>): void {
    const { link } = fs;
    fs.link = async (from, to) => {
      fs.link = link;
      syncBuiltinESMExports();
      if (when === 'before') await action();
      await link(from, to);
      if (when === 'after') await action();
    };
    syncBuiltinESMExports();
  }

  test('a process that slept since it looked finds its number used and pruned, and loses', async () => {
    const seen = await versions(2);
    atNextLink('before', async () => {
      let stored = seen;
      for (let number = 3; number <= 21; number += 1) stored = await replace(String(number), stored);
    });
    expect(await store.replace(KEY, seen.version, freshRecord(new Secret('late')), NEVER)).toBeNull();
    expect(await token()).toBe('21');
    expect(await readdir(`${file}.versions`)).not.toContain('3.json');
  });

  test('one that slept for a moment finds its number taken, and loses', async () => {
    const seen = await versions(2);
    atNextLink('before', () => replace('3', seen));
    expect(await store.replace(KEY, seen.version, freshRecord(new Secret('late')), NEVER)).toBeNull();
    expect(await token()).toBe('3');
  });

  test('one whose version was replaced before it could look has won all the same', async () => {
    const seen = await versions(2);
    atNextLink('after', async () => await replace('4', await store.read(KEY, NEVER)));
    expect((await store.replace(KEY, seen.version, freshRecord(new Secret('3')), NEVER))?.record.refreshToken.reveal()).toBe('3');
    expect(await token()).toBe('4');
  });

  test('abandoned temporary files go, those of others stay', async () => {
    const stored = await versions(1);
    const old = join(`${file}.versions`, `.${'a'.repeat(24)}.tmp`);
    const recent = join(`${file}.versions`, `.${'b'.repeat(24)}.tmp`);
    await writeFile(old, 'x');
    await writeFile(recent, 'x');
    await utimes(old, 0, 0);
    await replace('2', stored);
    expect((await readdir(`${file}.versions`)).sort()).toEqual([`.${'b'.repeat(24)}.tmp`, '1.json', '2.json']);
  });

  test('a file system that cannot be written says so', async () => {
    await writeFile(join(folder, 'in-between'), '');
    const blocked = fileTokenStore(join(folder, 'in-between', 'token'));
    await expect(blocked.replace(KEY, null, freshRecord(new Secret('x')), NEVER)).rejects.toMatchObject({
      code: 'token_store_failed',
      message: expect.stringContaining('ENOTDIR'),
    });
  });
});

describe('a folder of tokens', () => {
  test('one file for each key, private, made when it is needed', async () => {
    const tokens = directoryTokenStore(join(folder, 'deep', 'tokens'));
    await expect(tokens.read('a', NEVER)).rejects.toMatchObject({ code: 'token_not_found', message: expect.stringContaining('"a"') });
    for (const key of ['a', 'a.versions', 'B-1_2']) await tokens.replace(key, null, freshRecord(new Secret(`of ${key}`)), NEVER);
    expect((await readdir(join(folder, 'deep', 'tokens'))).sort()).toEqual(['.versions', 'B-1_2', 'a', 'a.versions']);
    expect((await stat(join(folder, 'deep', 'tokens'))).mode & 0o777).toBe(0o700);
    for (const key of ['a', 'a.versions', 'B-1_2']) expect((await tokens.read(key, NEVER)).record.refreshToken.reveal()).toBe(`of ${key}`);
  });

  test('the raw files of another product are read', async () => {
    await put('theirs\n');
    expect((await directoryTokenStore(folder).read('token', NEVER)).record.refreshToken.reveal()).toBe('theirs');
  });

  test('a folder that others may enter is refused', async () => {
    await chmod(folder, 0o711);
    await expect(directoryTokenStore(folder).read('a', NEVER)).rejects.toMatchObject({ message: expect.stringContaining('(mode 0711)') });
  });

  test.each(['', '.', '..', '../a', 'a/b', 'a\\b', '.hidden', '-', 'a\0', 'a\n', 'ä', 'a b', 'a'.repeat(129)])(
    'the key %j is refused',
    async (key) => {
      const tokens = directoryTokenStore(folder);
      await expect(tokens.read(key, NEVER)).rejects.toMatchObject({ code: 'token_store_failed' });
      await expect(tokens.replace(key, null, freshRecord(new Secret('x')), NEVER)).rejects.toMatchObject({ code: 'token_store_failed' });
    },
  );

  test('no key leads out of the folder', async () => {
    const inner = join(folder, 'inner');
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 12, unit: fc.constantFrom('.', '/', 'a', '\\', '~', '-') }), async (key) => {
        await directoryTokenStore(inner)
          .replace(key, null, freshRecord(new Secret('x')), NEVER)
          .catch(() => {});
        expect(await readdir(folder)).toEqual(expect.not.arrayContaining(['a']));
      }),
      { numRuns: 50 },
    );
    expect((await readdir(folder)).filter((name) => name !== 'inner')).toEqual([]);
  });
});

test('the descriptions say where, and nothing else', () => {
  expect([fileTokenStore('a/b').description, directoryTokenStore('c').description]).toEqual(['file a/b', 'files in c']);
});
