import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Credential, envSource, fileSource, processSource, type Source, staticSource } from '@sallyport/credentials';
import { Secret } from '@sallyport/sdk';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

const MARKER = 'MARKER-0f4be1';
const REASON: unknown = MARKER;
const JSON_KEYS = `{"Version":1,"AccessKeyId":"${MARKER}","SecretAccessKey":"${MARKER}"`;
let dir = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sallyport-secrecy-'));
  vi.stubEnv('SALLYPORT_TEST_MARKER', MARKER);
  await writeFile(join(dir, 'token'), MARKER);
  await writeFile(join(dir, 'binary'), Buffer.concat([Buffer.from(MARKER), Buffer.from([0xff])]));
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

/** All that a logger, a debugger or a careless template could print of it. */
function printed(value: unknown): string {
  const parts = [inspect(value, { depth: null, showHidden: true, getters: true, maxStringLength: null }), String(value), JSON.stringify(value)];
  if (value instanceof Error) parts.push(value.message, String(value.stack), printed(value.cause), JSON.stringify({ ...value }));
  return parts.join('\n');
}

function shell(script: string): Source {
  return processSource({ command: ['/bin/sh', '-c', script], env: { KEY: MARKER } });
}

describe('sources, materials and credentials print no secret', () => {
  test.each<[string, () => Source]>([
    ['env', () => envSource({ var: 'SALLYPORT_TEST_MARKER' })],
    ['file', () => fileSource({ path: join(dir, 'token') })],
    ['static', () => staticSource({ value: new Secret(MARKER) })],
    ['process', () => shell('echo $KEY')],
    ['credential_process', () => shell(`echo '${JSON_KEYS}}'`)],
  ])('%s', async (_name, make) => {
    const source = make();
    const credential = new Credential({ name: 'marked', source });
    try {
      const material = await credential.resolve();
      expect(material.secret.reveal()).toBe(MARKER);
      for (const value of [source, credential, material, [...material.fields]]) expect(printed(value)).not.toContain(MARKER);
    } finally {
      credential.close();
    }
  });
});

describe('errors print no secret', () => {
  test.each<[string, () => Source]>([
    ['a file that is not text', () => fileSource({ path: join(dir, 'binary') })],
    ['output that is not text', () => shell("printf '%s\\377' $KEY")],
    ['too much output', () => shell('while echo $KEY; do :; done')],
    ['output and an exit code', () => shell('echo $KEY; echo "no $KEY" >&2; exit 1')],
    ['a traced script', () => shell('set -x; echo $KEY; exit 1')],
    ['a program that is not there', () => processSource({ command: [join(dir, 'none'), MARKER], env: { KEY: MARKER } })],
    ['an argument that cannot be passed', () => processSource({ command: ['echo', `${MARKER}\0`] })],
    ['a variable that cannot be passed', () => processSource({ command: ['echo'], env: { KEY: `${MARKER}\0` } })],
    ['a program that takes too long', () => processSource({ command: ['sleep', '1000'], timeoutMs: 20, env: { KEY: MARKER } })],
    ['a wrong expiry', () => shell(`echo '${JSON_KEYS},"Expiration":"${MARKER}"}'`)],
    ['expired keys', () => shell(`echo '${JSON_KEYS},"Expiration":"2001-01-01T00:00:00Z"}'`)],
    [
      'a source that quotes it',
      () => ({ type: 'bad', description: 'bad source', fetch: () => Promise.reject(Object.assign(new SyntaxError(MARKER), { input: MARKER })) }),
    ],
    ['a source that rejects with it', () => ({ type: 'bad', description: 'bad source', fetch: () => Promise.reject(REASON) })],
  ])('%s', async (_name, make) => {
    const reported: unknown[] = [];
    const credential = new Credential({ name: 'marked', source: make(), onFailure: (error) => reported.push(error) });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const error: unknown = await credential.resolve().catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'credential_unavailable' });
      expect(printed(error)).not.toContain(MARKER);
    }
    expect(reported).toHaveLength(1);
    expect(printed(reported[0])).not.toContain(MARKER);
    expect(printed(credential)).not.toContain(MARKER);
    credential.close();
  });
});
