import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { faultOn } from './http-server.test.support.js';
import { failureOf, plain, recordOf, signal, storeContract } from './http-store-contract.test.support.js';
import { type VaultTokenStoreOptions, vaultTokenStore } from './vault.js';
import type { VaultAuth } from './vault-login.js';
import { type FakeVault, fakeVault, KUBERNETES_JWT, ROLE_ID, ROOT_TOKEN, SECRET_ID } from './vault-server.test.support.js';

const root: VaultAuth = { method: 'token', token: new Secret(ROOT_TOKEN) };
const appRole: VaultAuth = { method: 'approle', roleId: ROLE_ID, secretId: new Secret(SECRET_ID) };

storeContract('vaultTokenStore', async () => {
  const server = await fakeVault();
  return {
    server,
    makeStore: (options) => vaultTokenStore({ address: server.url, auth: root, ...options }),
    isWrite: ({ method, path }) => method === 'POST' && path.startsWith('/v1/secret/data/'),
    isRead: ({ method }) => method === 'GET',
  };
});

let vault: FakeVault;
let dir = '';

beforeEach(async () => {
  vault = await fakeVault();
  dir = await mkdtemp(join(tmpdir(), 'sallyport-vault-'));
});

afterEach(async () => {
  vi.useRealTimers();
  await vault.close();
  await rm(dir, { recursive: true, force: true });
});

function store(options: Partial<VaultTokenStoreOptions> = {}): ReturnType<typeof vaultTokenStore> {
  return vaultTokenStore({ address: vault.url, auth: root, ...options });
}

function paths(): string[] {
  return vault.requests.map(({ path }) => path);
}

describe('what is in Vault', () => {
  test('a secret with the token for people and the record', async () => {
    await store().replace('contoso.com', null, recordOf('now', 'before'), signal);
    const [{ data }] = vault.secrets.get('tenants/contoso.com') ?? [];
    expect(data.refresh_token).toBe('now');
    expect(JSON.parse(String(data.record))).toEqual({ version: 1, refresh_token: 'now', superseded: ['before'], lease: null, unknown_since: null });
  });

  test('a secret that was put there by hand holds only the token, maybe with a line break', async () => {
    vault.put('tenants/a', { refresh_token: 'by-hand\n' });
    const stored = await store().read('a', signal);
    expect(plain(stored)).toEqual({ token: 'by-hand', superseded: [], lease: null, unknownSince: null });
    expect(await store().replace('a', stored.version, recordOf('next', 'by-hand'), signal)).not.toBeNull();
  });

  test('a token that was patched by hand wins, and the one of the record is kept', async () => {
    await store().replace('a', null, { ...recordOf('old', 'older'), lease: { owner: 'x', expiresAt: 1 }, unknownSince: 1 }, signal);
    const [{ data }] = vault.secrets.get('tenants/a') ?? [];
    vault.put('tenants/a', { ...data, refresh_token: 'by-hand' });
    expect(plain(await store().read('a', signal))).toEqual({ token: 'by-hand', superseded: ['old', 'older'], lease: null, unknownSince: null });
  });

  test('a deleted secret is nothing, and can be written again', async () => {
    await store().replace('a', null, recordOf('one'), signal);
    vault.delete('tenants/a');
    await expect(store().read('a', signal)).rejects.toMatchObject({ code: 'token_not_found' });
    expect(await store().replace('a', null, recordOf('two'), signal)).toMatchObject({ version: '2' });
    expect(await store().replace('a', null, recordOf('three'), signal)).toBeNull();
  });

  test.each([[{}], [{ refresh_token: '' }], [{ refresh_token: 7 }], [{ refresh_token: 'refresh-secret', record: '{"refresh-secret":1}' }]])(
    'the secret %j is a failure that says where',
    async (data) => {
      vault.put('tenants/a', data);
      const error = await failureOf(store().read('a', signal));
      expect([error.code, error.message]).toEqual(['token_store_failed', expect.stringContaining('under the key a')]);
    },
  );
});

describe('where it is', () => {
  test('mount, path template and namespace', async () => {
    vault.namespace = 'team-a';
    const elsewhere = store({ namespace: 'team-a', path: 'sallyport/prod/t-{key}' });
    await elsewhere.replace('a', null, recordOf('one'), signal);
    expect([...vault.secrets.keys()]).toEqual(['sallyport/prod/t-a']);
    expect(elsewhere.description).toBe('vault secret/sallyport/prod/t-{key}');
    expect((await failureOf(store().read('a', signal))).members.retryable).toBe(false);
  });

  test('a mount that is not there is not a token that is not there', async () => {
    const error = await failureOf(store({ mount: 'kv' }).read('a', signal));
    expect([error.code, error.message, error.hint]).toEqual([
      'token_store_failed',
      expect.stringContaining('no secrets engine'),
      expect.stringContaining('`mount`'),
    ]);
  });

  test('KV version 1 is told apart when it answers a write', async () => {
    vault.intercept = faultOn(({ method }) => method === 'POST', { status: 204 });
    expect((await failureOf(store().replace('a', null, recordOf('refresh-secret'), signal))).hint).toContain('version 2');
  });

  test.each([
    ['address', { address: 'vault.example' }],
    ['address', { address: 'http://vault.example' }],
    ['address', { address: 'https://user:x@vault.example' }],
    ['address', { address: 'https://vault.example?x=1' }],
    ['mount', { mount: '' }],
    ['mount', { mount: '../sys' }],
    ['path', { path: 'tenants' }],
    ['path', { path: '{key}/{key}' }],
    ['path', { path: '/tenants/{key}' }],
    ['ca_file', { caFile: '/does/not/exist.pem' }],
    ['auth.token', { auth: { method: 'token', token: new Secret(' ') } }],
    ['auth.secret_id', { auth: { method: 'approle', roleId: 'x', secretId: new Secret('') } }],
    ['auth.role_id', { auth: { method: 'approle', roleId: '', secretId: new Secret('x') } }],
    ['auth.role', { auth: { method: 'kubernetes', role: '' } }],
    ['auth.mount', { auth: { method: 'kubernetes', role: 'x', mount: 'a//b' } }],
  ] as const)('a wrong %s is found when the store is made', (option, options) => {
    expect(() => store(options)).toThrow(expect.objectContaining({ code: 'config_invalid', message: expect.stringMatching(`^${option}: `) }));
  });
});

describe('getting in', () => {
  test('with a token from a file, read anew when Vault refuses it', async () => {
    const file = join(dir, 'token');
    await writeFile(file, `${ROOT_TOKEN}\n`);
    const mine = store({ auth: { method: 'token', token: { file } } });
    await mine.replace('a', null, recordOf('one'), signal);
    vault.tokens.set('hvs.second', Number.POSITIVE_INFINITY);
    vault.tokens.delete(ROOT_TOKEN);
    expect((await failureOf(mine.read('a', signal), [ROOT_TOKEN])).message).toContain('the token or the login is not valid');
    await writeFile(file, 'hvs.second\n');
    expect((await mine.read('a', signal)).record.refreshToken.reveal()).toBe('one');
    await rm(file);
    vault.tokens.clear();
    expect((await failureOf(mine.read('a', signal))).message).toContain(`${file} does not exist`);
  });

  test('with AppRole: one login for all, another when the token is revoked', async () => {
    const mine = store({ auth: appRole });
    await Promise.all(['a', 'b', 'c'].map((key) => mine.replace(key, null, recordOf('one'), signal)));
    expect(paths().filter((path) => path === '/v1/auth/approle/login')).toHaveLength(1);
    vault.tokens.clear();
    expect((await mine.read('a', signal)).record.refreshToken.reveal()).toBe('one');
    expect(paths().filter((path) => path === '/v1/auth/approle/login')).toHaveLength(2);
  });

  test('with the service account of Kubernetes', async () => {
    const jwtFile = join(dir, 'jwt');
    await writeFile(jwtFile, KUBERNETES_JWT);
    const mine = store({ auth: { method: 'kubernetes', role: 'sallyport', jwtFile } });
    await expect(mine.read('a', signal)).rejects.toMatchObject({ code: 'token_not_found' });
    expect(paths()).toEqual(['/v1/auth/kubernetes/login', '/v1/secret/data/tenants/a']);
  });

  test('a wrong secret id says so and is no reason to try again', async () => {
    const mine = store({ auth: { ...appRole, secretId: new Secret('wrong-secret-id') } });
    const error = await failureOf(mine.read('a', signal), ['wrong-secret-id']);
    expect([error.code, error.members.retryable, error.message]).toEqual([
      'token_store_failed',
      false,
      expect.stringContaining('role or its secret'),
    ]);
    expect(paths()).toEqual(['/v1/auth/approle/login']);
  });

  test('a token is renewed while it lives, and there is a new login when it cannot be renewed for long', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const mine = store({ auth: appRole });
    const use = async (afterMinutes: number): Promise<void> => {
      vi.setSystemTime(Date.now() + afterMinutes * 60_000);
      await expect(mine.read('a', signal)).rejects.toMatchObject({ code: 'token_not_found' });
    };
    await use(0);
    await use(46);
    await vi.waitFor(() => expect(paths()).toContain('/v1/auth/token/renew-self'));
    expect(vault.tokens.size).toBe(2);
    await use(30);
    vault.renewal = 600;
    await use(20);
    await vi.waitFor(() => expect(paths().filter((path) => path === '/v1/auth/approle/login')).toHaveLength(2));
    await use(1);
    expect(vault.requests[vault.requests.length - 1].headers['x-vault-token']).toBe('hvs.issued-token-2');
  });

  test('a sealed Vault is a retryable failure that says so', async () => {
    vault.intercept = () => ({ status: 503, body: { errors: ['Vault is sealed'] } });
    const error = await failureOf(store().read('a', signal));
    expect([error.members.retryable, error.message, error.hint]).toEqual([
      true,
      expect.stringContaining('sealed'),
      expect.stringContaining('Unseal'),
    ]);
  });

  test('a standby node that redirects is named as one', async () => {
    vault.intercept = () => ({ status: 307, headers: { location: 'https://active.example/' } });
    const error = await failureOf(store().read('a', signal));
    expect([error.members.retryable, error.message]).toEqual([true, expect.stringContaining('standby')]);
  });
});
