import { execFile } from 'node:child_process';
import { appendFile, chmod, mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileSource } from './file.js';

const execFileAsync = promisify(execFile);
const { signal } = new AbortController();
let dir = '';
let path = '';

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sallyport-file-'));
  path = join(dir, 'token');
});

afterEach(() => rm(dir, { recursive: true, force: true }));

async function read(name = path): Promise<string> {
  return (await fileSource({ path: name }).fetch(signal)).secret.reveal();
}

describe('reading', () => {
  test('one line break goes, a byte order mark goes, the rest stays', async () => {
    await writeFile(path, '\uFEFFtöken\r\n');
    const source = fileSource({ path });
    const material = await source.fetch(signal);
    expect([material.secret.reveal(), material.fields.size, material.expiresAt]).toEqual(['töken', 0, null]);
    expect([source.type, source.description]).toEqual(['file', `file ${path}`]);
  });

  test('each fetch reads anew, through links as well', async () => {
    const link = join(dir, 'link');
    await symlink(path, link);
    const source = fileSource({ path: link });
    for (const value of ['one', 'two', 'three']) {
      await writeFile(path, value);
      expect((await source.fetch(signal)).secret.reveal()).toBe(value);
    }
  });

  test('exactly 1 MiB is read whole', async () => {
    await writeFile(path, 'x'.repeat(1024 * 1024));
    expect((await read()).length).toBe(1024 * 1024);
  });

  test('a file that reports no size is read all the same', async () => {
    expect(await read('/proc/self/status')).toContain('Pid:');
  });

  test('an abort rejects with its reason', async () => {
    await writeFile(path, 'token');
    const reason = new Error('gone');
    await expect(fileSource({ path }).fetch(AbortSignal.abort(reason))).rejects.toBe(reason);
    const abort = new AbortController();
    const reading = fileSource({ path }).fetch(abort.signal);
    abort.abort(reason);
    await expect(reading).rejects.toBe(reason);
  });
});

describe('refusals name the path and what is wrong', () => {
  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['missing', async () => {}, /does not exist/],
    ['empty', () => writeFile(path, ''), /is empty/],
    ['blank', () => writeFile(path, ' \n'), /is empty/],
    ['directory', () => mkdir(path), /is a directory/],
    ['not UTF-8', () => writeFile(path, Buffer.from([0x61, 0xff, 0x62])), /is not UTF-8/],
    ['one byte too large', () => writeFile(path, 'x'.repeat(1024 * 1024 + 1)), /larger than 1 MiB/],
    ['huge and sparse', () => writeFile(path, '').then(() => truncate(path, 2 ** 40)), /larger than 1 MiB/],
    ['a FIFO that nobody writes to', () => execFileAsync('mkfifo', [path]), /not a regular file/],
    ['a link to itself', () => symlink(path, path), /cannot be read \(ELOOP\)/],
  ])('%s', async (_name, prepare, message) => {
    await prepare();
    await expect(read()).rejects.toMatchObject({ code: 'credential_unavailable', message: expect.stringMatching(message) });
    await expect(read()).rejects.toThrow(path);
  });

  test('a file in the place of a directory', async () => {
    await writeFile(path, 'token');
    await expect(read(join(path, 'below'))).rejects.toThrow(/does not exist/);
  });

  test('a path with a NUL', async () => {
    await expect(read(`${path}\0`)).rejects.toMatchObject({ code: 'credential_unavailable' });
  });

  test('a file that others own', async () => {
    await writeFile(path, 'token');
    await chmod(path, 0o000);
    // Nothing is unreadable to root.
    const root = process.geteuid?.() === 0;
    if (root) process.seteuid?.(65_534);
    try {
      await expect(read()).rejects.toThrow(/may not be read/);
    } finally {
      if (root) process.seteuid?.(0);
    }
  });
});

describe('watching', () => {
  const stops: (() => void)[] = [];
  afterEach(() => {
    for (const stop of stops.splice(0)) stop();
  });

  /** The value after the first report that makes a fetch succeed with something other than `before`. */
  function nextValue(before: string | null, name = path): Promise<string> {
    const source = fileSource({ path: name });
    return new Promise((resolve) => {
      const look = async (): Promise<void> => {
        const value = await source.fetch(signal).then(
          (material) => material.secret.reveal(),
          () => null,
        );
        if (value !== null && value !== before) resolve(value);
      };
      stops.push(source.watch?.(() => void look()) ?? (() => {}));
    });
  }

  test('a write in place', async () => {
    await writeFile(path, 'one');
    const next = nextValue('one');
    await writeFile(path, 'two');
    expect(await next).toBe('two');
  });

  test('an append', async () => {
    await writeFile(path, 'one');
    const next = nextValue('one');
    await appendFile(path, 'more');
    expect(await next).toBe('onemore');
  });

  test('an atomic rename', async () => {
    await writeFile(path, 'one');
    const next = nextValue('one');
    await writeFile(join(dir, 'token.new'), 'two');
    await rename(join(dir, 'token.new'), path);
    expect(await next).toBe('two');
  });

  test('several changes in a row under one watch', async () => {
    await writeFile(path, 'start');
    const source = fileSource({ path });
    let wake = (): void => {};
    stops.push(source.watch?.(() => wake()) ?? (() => {}));
    for (const value of ['one', 'two', 'six', 'ten']) {
      const woken = new Promise<void>((resolve) => {
        wake = () => void source.fetch(signal).then((material) => (material.secret.reveal() === value ? resolve() : undefined));
      });
      await writeFile(path, value);
      await woken;
    }
  });

  test('a file that appears', async () => {
    const next = nextValue(null);
    await writeFile(path, 'one');
    expect(await next).toBe('one');
  });

  test('the swap of the data link in a Kubernetes volume', async () => {
    await mkdir(join(dir, '..v1'));
    await writeFile(join(dir, '..v1', 'token'), 'one');
    await symlink('..v1', join(dir, '..data'));
    await symlink('..data/token', path);
    const next = nextValue('one');
    await mkdir(join(dir, '..v2'));
    await writeFile(join(dir, '..v2', 'token'), 'two');
    await symlink('..v2', join(dir, '..data_tmp'));
    await rename(join(dir, '..data_tmp'), join(dir, '..data'));
    await rm(join(dir, '..v1'), { recursive: true });
    expect(await next).toBe('two');
  });
});
