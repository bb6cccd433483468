import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { addressOf, type Instance, instanceName, instanceUrl } from './instance.js';
import { addInstance, readRegister, removeInstance } from './register.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-fleet-'));
  path = join(directory, 'home', 'fleet.yaml');
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
});

const instance = (name: string, more: Partial<Instance> = {}): Instance => ({
  name,
  url: `http://${name}.example:9090`,
  ca: null,
  token: null,
  ...more,
});

/** The process id of a program that has ended. */
async function deadProcess(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('the register', () => {
  test('is empty where there is none', async () => {
    expect(await readRegister(path)).toEqual([]);
  });

  test('gives back what was added, in a file for its owner alone', async () => {
    const full = instance('b', { url: 'https://b.example:443', ca: '/etc/ca.pem', token: { env: 'FLEET_TOKEN' } });
    await addInstance(path, instance('a'));
    await addInstance(path, full);
    await addInstance(path, instance('c', { url: 'https://[::1]:9090', token: { file: '/run/token' } }));
    expect(await readRegister(path)).toEqual([instance('a'), full, instance('c', { url: 'https://[::1]:9090', token: { file: '/run/token' } })]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, 'home')).mode & 0o777).toBe(0o700);
    await removeInstance(path, 'b');
    expect((await readRegister(path)).map(({ name }) => name)).toEqual(['a', 'c']);
    expect(readdirSync(join(directory, 'home'))).toEqual(['fleet.yaml']);
  });

  test('has each name and each address once', async () => {
    await addInstance(path, instance('a'));
    await expect(addInstance(path, instance('a', { url: 'http://other.example:1' }))).rejects.toMatchObject({ code: 'fleet_instance_exists' });
    await expect(addInstance(path, instance('b', { url: 'https://a.example:9090' }))).rejects.toThrow('a.example:9090, a, is registered already');
    await expect(removeInstance(path, 'b')).rejects.toMatchObject({ code: 'fleet_instance_unknown', hint: 'These are registered: a.' });
  });

  test('keeps all of many changes at once', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `n${index}`);
    await Promise.all(names.map((name) => addInstance(path, instance(name))));
    expect((await readRegister(path)).map(({ name }) => name).toSorted()).toEqual(names.toSorted());
  });

  test('takes over the lock of a process that has died, also when many do', async () => {
    await addInstance(path, instance('a'));
    writeFileSync(`${path}.lock`, `${await deadProcess()}\n`);
    await Promise.all(['b', 'c', 'd', 'e'].map((name) => addInstance(path, instance(name))));
    expect(await readRegister(path)).toHaveLength(5);
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test('waits for a process that lives, and says which lock it is', async () => {
    await addInstance(path, instance('a'));
    writeFileSync(`${path}.lock`, `${process.pid}\n`);
    await expect(addInstance(path, instance('b'))).rejects.toThrow(`${path}.lock`);
    expect(await readRegister(path)).toHaveLength(1);
  });

  test.each([
    ['instances: [', 'Flow sequence'],
    ['- a', 'a mapping named "instances"'],
    ['instance: {}', 'a mapping named "instances"'],
    ['instances: { a: { url: "http://a:1", colour: red } }', 'unknown key "colour"'],
    ['instances: { a: { } }', 'needs a url'],
    ['instances: { a: { url: "http://a:1", token: abc } }', 'needs a url'],
    ['instances: { a: { url: "http://a:1", token: { env: A, file: b } } }', 'needs a url'],
    ['instances: { a: { url: "http://a:1/path" } }', 'no address'],
    ['instances: { "a b": { url: "http://a:1" } }', 'no name'],
    ['instances: { a: { url: "http://a:1", token: { env: A } } }', 'unencrypted'],
    ['instances: &x { a: *x }', ''],
    [`x: ${'y'.repeat(1024 * 1024)}`, 'larger than 1 MiB'],
  ])('does not work with %.60s', async (text, why) => {
    const file = join(directory, 'fleet.yaml');
    writeFileSync(file, text, { mode: 0o600 });
    await expect(readRegister(file)).rejects.toMatchObject({ code: 'fleet_register_failed', message: expect.stringContaining(why) });
  });

  test('does not work where others can write', async () => {
    await addInstance(path, instance('a'));
    chmodSync(path, 0o620);
    await expect(readRegister(path)).rejects.toMatchObject({ hint: expect.stringContaining('chmod 600') });
  });

  test('says why it cannot be written', async () => {
    symlinkSync('/dev/null', join(directory, 'home'));
    await expect(addInstance(path, instance('a'))).rejects.toMatchObject({
      code: 'fleet_register_failed',
      message: expect.stringMatching(/\(E[A-Z]+\)/),
    });
  });

  test('reads what it has written, whatever is in it', async () => {
    const texts = fc.string({ minLength: 1, unit: 'binary' }).filter((text) => !text.includes('\0') && text.isWellFormed());
    await fc.assert(
      fc.asyncProperty(texts, texts, async (ca, file) => {
        const file1 = join(directory, `${crypto.randomUUID()}.yaml`);
        const one = instance('true', { url: 'https://x:1', ca, token: { file } });
        await addInstance(file1, one);
        expect(await readRegister(file1)).toEqual([one]);
      }),
      { numRuns: 15 },
    );
  });
});

describe('an address', () => {
  test.each([
    ['gateway:9090', 'http://gateway:9090'],
    ['HTTPS://Gateway.Example:443/', 'https://gateway.example:443'],
    ['10.0.0.1:80', 'http://10.0.0.1:80'],
    ['[2001:DB8::1]:9090', 'http://[2001:db8::1]:9090'],
  ])('%s', (text, url) => {
    expect(instanceUrl(text)).toBe(url);
    expect(instanceUrl(addressOf({ url }))).toBe(url.replace('https', 'http'));
  });

  test.each([
    '',
    'gateway',
    'gateway:',
    ':9090',
    'gateway:0',
    'gateway:65536',
    'a:b@gateway:1',
    'gateway:1/x',
    'gateway:1?x',
    '::1:9090',
    'ftp://a:1',
    'a b:1',
  ])('is not %j', (text) => {
    expect(() => instanceUrl(text)).toThrow('no address');
  });

  test('never gets past the check as something else', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          const url = new URL(instanceUrl(text));
          expect([url.pathname, url.search, url.username]).toEqual(['/', '', '']);
        } catch (error) {
          expect(error).toHaveProperty('code', 'fleet_invalid');
        }
      }),
    );
  });
});

test.each(['', 'a b', '-a', 'a/b', '\u001b[31m', 'x'.repeat(64)])('%j is no name', (text) => {
  expect(() => instanceName(text)).toThrow('no name');
});
