import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { controlPlaneTokenStore } from './control-plane.js';
import { type FakeControlPlane, fakeControlPlane } from './control-plane-server.test.support.js';
import { faultOn } from './http-server.test.support.js';
import { failureOf, recordOf, signal, storeContract } from './http-store-contract.test.support.js';

storeContract('controlPlaneTokenStore', async () => {
  const server = await fakeControlPlane();
  return {
    server,
    makeStore: (options) => controlPlaneTokenStore({ baseUrl: `${server.url}/v1`, token: new Secret(server.token), ...options }),
    isWrite: ({ method }) => method === 'PUT',
    isRead: ({ method }) => method === 'GET',
  };
});

describe('controlPlaneTokenStore', () => {
  let plane: FakeControlPlane;
  let dir = '';

  beforeEach(async () => {
    plane = await fakeControlPlane();
    dir = await mkdtemp(join(tmpdir(), 'sallyport-plane-'));
  });
  afterEach(async () => {
    await plane.close();
    await rm(dir, { recursive: true, force: true });
  });

  test('what goes over the wire is the contract', async () => {
    const store = controlPlaneTokenStore({ baseUrl: `${plane.url}/v1/`, token: new Secret(plane.token) });
    const first = await store.replace('user@host', null, recordOf('one'), signal);
    await store.replace('user@host', first?.version ?? '', recordOf('two', 'one'), signal);
    const sent = plane.requests.map(({ method, path, headers, body }) => [
      `${method} ${path}`,
      headers['if-none-match'] ?? headers['if-match'],
      (JSON.parse(body) as { refresh_token: string }).refresh_token,
    ]);
    expect(sent).toEqual([
      ['PUT /v1/tokens/user%40host', '*', 'one'],
      ['PUT /v1/tokens/user%40host', '"1"', 'two'],
    ]);
    expect(store.description).toBe(`control plane ${plane.url}/v1`);
  });

  test('a token from a file is read for every request', async () => {
    const file = join(dir, 'token');
    const store = controlPlaneTokenStore({ baseUrl: `${plane.url}/v1`, token: { file } });
    await writeFile(file, 'wrong-token-value\n');
    const error = await failureOf(store.read('a', signal), ['wrong-token-value']);
    expect([error.members.retryable, error.hint]).toEqual([false, expect.stringContaining('token')]);
    await writeFile(file, `${plane.token}\n`);
    await expect(store.read('a', signal)).rejects.toMatchObject({ code: 'token_not_found' });
  });

  test.each([
    ['no tag', {}],
    ['a weak tag', { etag: 'W/"1"' }],
    ['a tag without quotes', { etag: '1' }],
  ])('%s breaks the contract', async (_, headers) => {
    const store = controlPlaneTokenStore({ baseUrl: `${plane.url}/v1`, token: new Secret(plane.token) });
    plane.intercept = faultOn(() => true, { status: 204, headers });
    expect((await failureOf(store.replace('a', null, recordOf('refresh-secret'), signal))).message).toContain('strong ETag');
  });

  test.each([
    ['base_url', 'http://plane.example', 'x'],
    ['token', 'https://plane.example', ''],
  ])('a wrong %s is found when the store is made', (option, baseUrl, token) => {
    const make = (): unknown => controlPlaneTokenStore({ baseUrl, token: new Secret(token) });
    expect(make).toThrow(expect.objectContaining({ code: 'config_invalid', message: expect.stringMatching(`^${option}: `) }));
  });
});
