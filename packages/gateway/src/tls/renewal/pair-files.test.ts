import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { removeTemporaryDirectories, temporaryDirectory } from '../../testing/temporary-directory.test.support.js';
import { compileTls } from '../compiled-sources.test.support.js';
import { readNames } from './alternative-names.js';
import { makeRequest } from './certificate-request.js';
import { type Issuer, rootIssuer } from './issuing.test.support.js';
import { type PairFiles, persistPair, readPair } from './pair-files.js';
import type { KeyPair } from './rehearsal.js';

let issuer: Issuer;
let before: KeyPair;
let after: KeyPair;
let directory: string;
let files: PairFiles;

beforeAll(async () => {
  issuer = await rootIssuer();
  [before, after] = await Promise.all([newPair(), newPair()]);
});
beforeEach(async () => {
  directory = await temporaryDirectory();
  files = { cert: join(directory, 'server.crt'), key: join(directory, 'server.key') };
  await put(before);
});
afterAll(removeTemporaryDirectories);

async function newPair(): Promise<KeyPair> {
  const { key, csr } = await makeRequest({ commonName: 'x', names: readNames(['proxy.example.com']) });
  return { cert: await issuer.sign(csr), key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

async function put({ cert, key }: KeyPair): Promise<void> {
  await writeFile(files.cert, cert);
  await writeFile(files.key, key, { mode: 0o600 });
}

const onDisk = async (): Promise<KeyPair> => ({ cert: await readFile(files.cert, 'utf8'), key: await readFile(files.key, 'utf8') });
const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('a pair', () => {
  test('is replaced, with nothing left beside it', async () => {
    await persistPair(files, after);
    expect(await onDisk()).toEqual(after);
    expect(await readPair(files)).toEqual(after);
    expect(await readdir(directory)).toEqual(['server.crt', 'server.key']);
    expect(await mode(files.key)).toBe(0o600);
    expect(await mode(files.cert)).toBe(0o644);
  });

  test('has a key that is for its owner alone, whatever it was and whatever the umask', async () => {
    await chmod(files.key, 0o644);
    const umask = process.umask(0);
    try {
      await persistPair(files, after);
    } finally {
      process.umask(umask);
    }
    expect(await mode(files.key)).toBe(0o600);
  });

  test('may be in two directories, and behind symbolic links, which stay', async () => {
    const [certs, keys] = [join(directory, 'certs'), join(directory, 'keys')];
    await mkdir(certs);
    await mkdir(keys);
    await rename(files.cert, join(certs, 'real.crt'));
    await rename(files.key, join(keys, 'real.key'));
    await symlink(join(certs, 'real.crt'), files.cert);
    await symlink(join(keys, 'real.key'), files.key);
    await persistPair(files, after);
    expect(await onDisk()).toEqual(after);
    expect(await readFile(join(keys, 'real.key'), 'utf8')).toBe(after.key);
    expect(await Promise.all([directory, certs, keys].map((path) => readdir(path)))).toEqual([
      ['certs', 'keys', 'server.crt', 'server.key'],
      ['real.crt'],
      ['real.key'],
    ]);
  });

  test('that does not belong together is answered as it is', async () => {
    await put({ cert: before.cert, key: after.key });
    expect(await readPair(files)).toEqual({ cert: before.cert, key: after.key });
    await writeFile(files.key, 'no key');
    expect(await readPair(files)).toEqual({ cert: before.cert, key: 'no key' });
  });

  test('a key that was left behind by an earlier attempt is removed by the next', async () => {
    const left = 'a'.repeat(40);
    await writeFile(`${files.key}.renewal-${left}`, 'left');
    await writeFile(`${files.key}.renewal-${left}.old`, 'left');
    await writeFile(`${files.cert}.renewal-${left}`, 'left');
    await writeFile(`${files.cert}.renewal-of-somebody-else`, 'kept');
    await persistPair(files, after);
    expect(await readdir(directory)).toEqual(['server.crt', 'server.crt.renewal-of-somebody-else', 'server.key']);
  });
});

describe('a pair that cannot be stored leaves the old one in place', () => {
  const refused = async (said: string, given = files): Promise<void> => {
    await expect(persistPair(given, after)).rejects.toMatchObject({
      code: 'certificate_not_persisted',
      status: 500,
      message: expect.stringContaining(said),
    });
  };

  test('when nothing can be written beside the certificate', async () => {
    // A name that leaves no room for a suffix: a refusal of the system that even root gets.
    const long = { cert: join(directory, 'c'.repeat(250)), key: files.key };
    await rename(files.cert, long.cert);
    await refused('cannot be written to (ENAMETOOLONG)', long);
    expect(await readPair(long)).toEqual(before);
    expect(await readdir(directory)).toEqual(['c'.repeat(250), 'server.key']);
  });

  test('when nothing can be written beside the key', async () => {
    const long = { cert: files.cert, key: join(directory, 'k'.repeat(250)) };
    await rename(files.key, long.key);
    await refused('cannot be written to (ENAMETOOLONG)', long);
    expect(await readPair(long)).toEqual(before);
    expect(await readdir(directory)).toEqual(['k'.repeat(250), 'server.crt']);
  });

  test('when the files are gone', async () => {
    await rm(files.cert);
    await refused('cannot be read (ENOENT)');
    expect(await readdir(directory)).toEqual(['server.key']);
  });

  test('when both are one file', async () => {
    await writeFile(files.cert, before.cert + before.key);
    const one = { cert: files.cert, key: files.cert };
    await refused('cannot be read', one);
    expect(await readFile(files.cert, 'utf8')).toBe(before.cert + before.key);
  });
});

describe('an installation that ends at any step', () => {
  let build: string;

  beforeAll(async () => {
    build = join(await temporaryDirectory(), 'build');
    await compileTls(build);
  });

  /**
   * Runs `body` in a process in which `atStep` happens instead of the call to the file system that brings `left` to zero. It may use `persistPair`,
   * `readPair`, `fs`, `files` and the two pairs. Answers what it printed, or `killed`.
   */
  async function run(atStep: string, body: string): Promise<string> {
    const program = `
      import fs from 'node:fs/promises';
      import { syncBuiltinESMExports } from 'node:module';
      const { persistPair, readPair } = await import(${JSON.stringify(pathToFileURL(join(build, 'tls/renewal/pair-files.js')))});
      const [files, before, after] = ${JSON.stringify([files, before, after])};
      let left = Infinity;
      const counted = (call) => async function (...args) {
        if (left-- === 0) { ${atStep} }
        return call.apply(this, args);
      };
      const open = fs.open;
      fs.open = counted(async (...args) => {
        const handle = await open(...args);
        for (const name of ['chmod', 'writeFile', 'sync']) handle[name] = counted(handle[name]);
        return handle;
      });
      for (const name of ['rename', 'rm', 'readFile', 'readdir', 'realpath']) fs[name] = counted(fs[name]);
      syncBuiltinESMExports();
      ${body}`;
    const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    expect([0, 'SIGKILL']).toContain(signal ?? code);
    return signal === null ? said : 'killed';
  }

  test('by kill -9 leaves the old pair or the new one, and the next installation succeeds', { timeout: 120_000 }, async () => {
    const seen = new Set<string>();
    for (let step = 0; ; step++) {
      await put(before);
      const kill = "process.kill(process.pid, 'SIGKILL'); await new Promise(() => {});";
      const outcome = await run(kill, `left = ${step}; await persistPair(files, after); process.stdout.write('never');`);
      const interrupted = await onDisk();
      const found = await readPair(files);
      expect([before, after], `step ${step}`).toContainEqual(found);
      seen.add(interrupted.key === before.key ? 'old' : interrupted.cert === before.cert ? 'between' : 'new');
      // Once read, it is whole on disk as well.
      expect(await onDisk()).toEqual(found);
      await persistPair(files, before.key === found.key ? after : before);
      expect(await readdir(directory)).toEqual(['server.crt', 'server.key']);
      if (outcome === 'never') break;
    }
    expect(seen).toEqual(new Set(['old', 'between', 'new']));
  });

  test('by an error of the system leaves the pair that it says', async () => {
    const steps = await run(
      "throw Object.assign(new Error('full'), { code: 'ENOSPC' });",
      `for (let step = 0; ; step++) {
        left = Infinity;
        await fs.writeFile(files.cert, before.cert);
        await fs.writeFile(files.key, before.key);
        left = step;
        const code = await persistPair(files, after).then(() => 'done', (error) => error.code);
        const reached = left < 0;
        left = Infinity;
        const found = await readPair(files);
        const pair = [before, after].findIndex(({ cert, key }) => cert === found.cert && key === found.key);
        console.log(code, ['before', 'after'][pair] ?? 'halves');
        if (!reached) break;
      }`,
    );
    const outcomes = steps.trim().split('\n');
    expect(outcomes.at(-1)).toBe('done after');
    expect(new Set(outcomes)).toEqual(new Set(['certificate_not_persisted before', 'done after']));
    expect(outcomes.filter((outcome) => outcome.startsWith('certificate')).length).toBeGreaterThan(20);
    await persistPair(files, before);
    expect(await readdir(directory)).toEqual(['server.crt', 'server.key']);
  });

  test('while others read it shows them the old pair or the new one', async () => {
    let done = false;
    const installing = persistPair(files, after).finally(() => {
      done = true;
    });
    while (!done) expect([before, after]).toContainEqual(await readPair(files));
    await installing;
    expect(await readPair(files)).toEqual(after);
  });
});
