import { spawnSync } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { cleanUp, workplace } from '../command-line.test.support.js';

afterEach(cleanUp);

const installed = (program: string, argument: string): boolean => spawnSync(program, [argument]).status === 0;

test('clients that are installed get through, the others are named as missing', { timeout: 120_000 }, async () => {
  const { code, stdout } = await workplace().run(['doctor', 'node', 'curl', 'git', 'deno', '-o', 'json'], { NO_PROXY: '*' });
  const results = JSON.parse(stdout) as { client: string; result: string }[];
  const expected = (program: string): string => (installed(program, '--version') ? 'ok' : 'not installed');
  expect(results.map(({ client, result }) => [client, result])).toEqual([
    ['curl', expected('curl')],
    ['git', expected('git')],
    ['node fetch', 'ok'],
    ['node https', 'ok'],
    ['deno', expected('deno')],
  ]);
  expect(code).toBe(0);
});

test.skipIf(!installed('javac', '-version'))('Java gives the password to this proxy', { timeout: 120_000 }, async () => {
  const { code, stdout } = await workplace().run(['doctor', 'java']);
  expect(stdout).toMatch(/java +[0-9.]+ +ok/);
  expect(code).toBe(0);
});

test.skipIf(!installed('curl', '--version'))('a client that fails is shown with what it said and what to do', { timeout: 120_000 }, async () => {
  const place = workplace();
  const { mkdirSync } = await import('node:fs');
  mkdirSync(place.home);
  place.file('home/.curlrc', 'noproxy = "*"\n');
  const { code, stdout } = await place.run(['doctor', 'curl']);
  expect(stdout).toMatch(/curl +[0-9.]+ +failed/);
  expect(stdout).toContain('the credential was not added');
  expect(stdout).toContain('~/.curlrc');
  expect(code).toBe(1);
});
