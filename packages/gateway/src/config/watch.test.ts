import { appendFile, mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { watchConfig } from './watch.js';

let directory = '';
let path = '';
let changes = 0;
let close: () => void = () => undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-watch-'));
  path = join(directory, 'sallyport.yaml');
  changes = 0;
  await writeFile(path, 'one');
});

afterEach(async () => {
  close();
  await rm(directory, { recursive: true });
});

function start(...files: string[]): void {
  close = watchConfig(path, files, () => {
    changes++;
  });
}

const reported = (count: number): Promise<void> => vi.waitFor(() => expect(changes).toBe(count), { timeout: 20_000, interval: 20 });

describe('a change is reported once', () => {
  test('when a file is written in place, in several steps', async () => {
    start();
    await writeFile(path, '');
    await appendFile(path, 'two');
    await appendFile(path, ' and a half');
    await reported(1);
    await writeFile(path, 'three');
    await reported(2);
  });

  test('when another file is renamed over it, again and again', async () => {
    start();
    for (const round of [1, 2, 3]) {
      await writeFile(join(directory, 'new'), `round ${round}`);
      await rename(join(directory, 'new'), path);
      await reported(round);
    }
  });

  test('when an editor moves it away and writes it anew', async () => {
    start();
    await rename(path, `${path}~`);
    await writeFile(path, 'two');
    await reported(1);
  });

  test('when it goes, and when it comes back', async () => {
    start();
    await unlink(path);
    await reported(1);
    await writeFile(path, 'two');
    await reported(2);
  });

  test('when a directory behind a symbolic link is exchanged, as Kubernetes does', async () => {
    const mount = join(directory, 'mount');
    for (const version of ['v1', 'v2', 'v3']) {
      await mkdir(join(mount, version), { recursive: true });
      await writeFile(join(mount, version, 'sallyport.yaml'), version);
    }
    await symlink('v1', join(mount, '..data'));
    await symlink('..data/sallyport.yaml', join(mount, 'sallyport.yaml'));
    path = join(mount, 'sallyport.yaml');
    start();
    for (const [index, version] of ['v2', 'v3'].entries()) {
      await symlink(version, join(mount, '..new'));
      await rename(join(mount, '..new'), join(mount, '..data'));
      await reported(index + 1);
    }
  });

  test('in any of the files, wherever it is', async () => {
    const other = join(directory, 'tls', 'server.crt');
    await mkdir(join(directory, 'tls'));
    await writeFile(other, 'one');
    start(path, other);
    await writeFile(other, 'two');
    await reported(1);
    await writeFile(path, 'two');
    await reported(2);
  });
});

test('what happens beside the files is no change', async () => {
  start();
  // Both events arrive in order, so when the second is reported, the first has been seen and let go.
  await writeFile(join(directory, 'sallyport.log'), 'a line');
  await writeFile(path, 'two');
  await reported(1);
});

test('a directory that is not there yet is no obstacle', async () => {
  start(join(directory, 'later', 'token'));
  await writeFile(path, 'two');
  await reported(1);
  await mkdir(join(directory, 'later'));
  await writeFile(join(directory, 'later', 'token'), 'one');
  await reported(2);
  await writeFile(join(directory, 'later', 'token'), 'two');
  await reported(3);
});

test('nothing is reported after the end', async () => {
  start();
  close();
  let others = 0;
  const closeOther = watchConfig(path, [], () => {
    others++;
  });
  await writeFile(path, 'two');
  await vi.waitFor(() => expect(others).toBe(1), { timeout: 20_000, interval: 20 });
  closeOther();
  expect(changes).toBe(0);
});
