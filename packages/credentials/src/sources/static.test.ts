import { Secret } from '@sallyport/sdk';
import { expect, test } from 'vitest';
import { staticSource } from './static.js';

const { signal } = new AbortController();

test('hands out the value, which does not expire', async () => {
  const material = await staticSource({ value: new Secret('token\r\n') }).fetch(signal);
  expect([material.secret.reveal(), material.fields.size, material.expiresAt]).toEqual(['token', 0, null]);
});

test('a blank value is an error', async () => {
  await expect(staticSource({ value: new Secret('\n') }).fetch(signal)).rejects.toMatchObject({ code: 'credential_unavailable' });
});

test('an abort rejects with its reason', async () => {
  const reason = new Error('gone');
  await expect(staticSource({ value: new Secret('token') }).fetch(AbortSignal.abort(reason))).rejects.toBe(reason);
});
