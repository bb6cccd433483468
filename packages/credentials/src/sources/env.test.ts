import { afterEach, expect, test, vi } from 'vitest';
import { envSource } from './env.js';

const { signal } = new AbortController();
const source = envSource({ var: 'SALLYPORT_TEST_TOKEN' });

afterEach(() => vi.unstubAllEnvs());

test('reads the variable at each fetch', async () => {
  vi.stubEnv('SALLYPORT_TEST_TOKEN', 'one\n');
  const first = await source.fetch(signal);
  expect([first.secret.reveal(), first.fields.size, first.expiresAt]).toEqual(['one', 0, null]);
  vi.stubEnv('SALLYPORT_TEST_TOKEN', 'two');
  expect((await source.fetch(signal)).secret.reveal()).toBe('two');
  expect([source.type, source.description]).toEqual(['env', 'env SALLYPORT_TEST_TOKEN']);
});

test.each([
  [undefined, 'The environment variable SALLYPORT_TEST_TOKEN is not set.'],
  ['', 'The environment variable SALLYPORT_TEST_TOKEN is empty.'],
  [' \n', 'The environment variable SALLYPORT_TEST_TOKEN is empty.'],
])('%j is an error that names the variable', async (value, message) => {
  vi.stubEnv('SALLYPORT_TEST_TOKEN', value);
  await expect(source.fetch(signal)).rejects.toMatchObject({ code: 'credential_unavailable', message });
});

test('an abort rejects with its reason', async () => {
  const reason = new Error('gone');
  await expect(source.fetch(AbortSignal.abort(reason))).rejects.toBe(reason);
});
