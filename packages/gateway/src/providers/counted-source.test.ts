import { Credential, type Source } from '@sallyport/credentials';
import { Secret } from '@sallyport/sdk';
import { expect, test } from 'vitest';
import { countedSource } from './counted-source.js';

test('each fetch is told of with how it ended, but for one that was given up', async () => {
  const ends: boolean[] = [];
  let fetch: Source['fetch'] = async () => ({ secret: new Secret('material'), expiresAt: null, fields: new Map() });
  const source = countedSource({ type: 'test', description: 'a test', fetch: (signal) => fetch(signal) }, (succeeded) => ends.push(succeeded));
  expect(source).toMatchObject({ type: 'test', description: 'a test' });
  const credential = new Credential({ name: 'key', source });
  expect((await credential.resolve()).secret.reveal()).toBe('material');
  credential.close();
  fetch = () => Promise.reject(new Error('no'));
  await expect(source.fetch(new AbortController().signal)).rejects.toThrow('no');
  await expect(source.fetch(AbortSignal.abort())).rejects.toThrow('no');
  expect(ends).toEqual([true, false]);
});
