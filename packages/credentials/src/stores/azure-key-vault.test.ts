import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type AzureKeyVaultTokenStoreOptions, azureKeyVaultTokenStore } from './azure-key-vault.js';
import type { AzureIdentity } from './azure-key-vault-identity.js';
import { CLIENT_ID, CLIENT_SECRET, type FakeAzure, FEDERATED_TOKEN, fakeAzure, RESOURCE, TENANT } from './azure-key-vault-server.test.support.js';
import { type FakeRequest, faultOn } from './http-server.test.support.js';
import { failureOf, plain, recordOf, signal, storeContract } from './http-store-contract.test.support.js';
import type { TokenRecord, TokenStore } from './token-store.js';

function identityOf(azure: FakeAzure): AzureIdentity {
  return { method: 'client_secret', tenantId: TENANT, clientId: CLIENT_ID, clientSecret: new Secret(CLIENT_SECRET), authority: azure.url };
}

function isWrite({ method }: FakeRequest): boolean {
  return method === 'PUT';
}

storeContract('azureKeyVaultTokenStore', async () => {
  const server = await fakeAzure();
  return {
    server,
    makeStore: (options) =>
      azureKeyVaultTokenStore({ vaultUrl: server.url, identity: identityOf(server), resource: RESOURCE, settleMs: 0, ...options }),
    isWrite,
    isRead: ({ method, headers }) => method === 'GET' && headers.authorization !== undefined,
  };
});

let azure: FakeAzure;
let dir = '';

beforeEach(async () => {
  azure = await fakeAzure();
  dir = await mkdtemp(join(tmpdir(), 'sallyport-azure-'));
});

afterEach(async () => {
  await azure.close();
  await rm(dir, { recursive: true, force: true });
});

function store(options: Partial<AzureKeyVaultTokenStoreOptions> = {}): TokenStore {
  return azureKeyVaultTokenStore({ vaultUrl: azure.url, identity: identityOf(azure), resource: RESOURCE, settleMs: 0, ...options });
}

function nameOf(key: string): string {
  return `chaperone-rt-${createHash('sha256').update(key).digest('hex')}`;
}

function claim(owner: string): TokenRecord {
  return { ...recordOf('zero'), lease: { owner, expiresAt: Date.now() + 60_000 } };
}

/** Resolves with the signal that a request has come, and lets it go on when told. */
function gate(): { readonly reached: Promise<void>; open(): void; pass(): Promise<null> } {
  let open = (): void => {};
  let arrive = (): void => {};
  const opened = new Promise<null>((resolve) => {
    open = () => resolve(null);
  });
  const reached = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  return {
    reached,
    open: () => open(),
    pass: () => {
      arrive();
      return opened;
    },
  };
}

describe('what is in the vault', () => {
  test('a secret named by the digest of the key, with tags', async () => {
    await store().replace('contoso.com', null, recordOf('now', 'before'), signal);
    const [{ value, tags }] = azure.secrets.get(nameOf('contoso.com')) ?? [];
    expect(JSON.parse(value)).toMatchObject({ version: 1, refresh_token: 'now', superseded: ['before'] });
    expect(tags).toEqual({ tenantID: 'contoso.com', managedBy: 'sallyport' });
    const { version } = await store().read('contoso.com', signal);
    await store().replace('contoso.com', version, recordOf('next'), signal);
    expect(azure.secrets.get(nameOf('contoso.com'))?.[1].tags).toEqual({ tenantID: 'contoso.com', managedBy: 'sallyport', replaces: version });
  });

  test('a bare token, as other products keep it, is read and then replaced', async () => {
    azure.put(nameOf('a'), 'bare-token\n');
    const stored = await store().read('a', signal);
    expect(plain(stored)).toEqual({ token: 'bare-token', superseded: [], lease: null, unknownSince: null });
    expect(await store().replace('a', stored.version, recordOf('next', 'bare-token'), signal)).not.toBeNull();
    expect(azure.secrets.get(nameOf('a'))).toHaveLength(2);
  });

  test.each(['', ' \n', '{"refresh-secret":1}', '{"version":2,"refresh_token":"refresh-secret"}'])(
    'the value %j is a failure that says where',
    async (value) => {
      azure.put(nameOf('a'), value);
      const error = await failureOf(store().read('a', signal));
      expect([error.code, error.message]).toEqual(['token_store_failed', expect.stringContaining('under the key a')]);
    },
  );

  test('the oldest superseded tokens go when the vault would refuse the value', async () => {
    const long = (name: string): string => name.repeat(4_000);
    await store().replace('a', null, recordOf(long('n'), ...['1', '2', '3', '4', '5', '6', '7', '8'].map(long)), signal);
    expect(plain(await store().read('a', signal))).toMatchObject({ token: long('n'), superseded: ['1', '2', '3', '4', '5'].map(long) });
    const error = await failureOf(store().replace('b', null, recordOf('refresh-secret'.repeat(2_000)), signal));
    expect(error.message).toContain('larger than');
  });

  test.each([
    [403, { code: 'Forbidden', innererror: { code: 'SecretDisabled' } }, 'Enable the newest version'],
    [403, { code: 'Forbidden', innererror: { code: 'ForbiddenByFirewall' } }, 'firewall'],
    [409, { code: 'Conflict', innererror: { code: 'ObjectIsDeletedButRecoverable' } }, 'recover or purge'],
    [404, { code: 'VaultNotFound' }, 'vault_url'],
  ])('%i %j comes with a hint', async (status, body, hint) => {
    azure.intercept = faultOn(({ headers }) => headers.authorization !== undefined, { status, body: { error: body } }, Number.POSITIVE_INFINITY);
    const error = await failureOf(store().replace('a', null, recordOf('refresh-secret'), signal));
    expect([error.code, error.members.retryable, error.hint]).toEqual(['token_store_failed', false, expect.stringContaining(hint)]);
    expect(error.message).toContain(body.code);
  });

  test.each([
    ['prefix', { prefix: 'a_b' }],
    ['prefix', { prefix: 'x'.repeat(64) }],
    ['vault_url', { vaultUrl: 'http://v.vault.azure.net' }],
    ['vault_url', { vaultUrl: 'https://vault.azure.net' }],
    ['vault_url', { vaultUrl: 'https://v.example.net' }],
    ['identity.tenant_id', { identity: { method: 'workload_identity', tenantId: 'a/b', clientId: 'x', tokenFile: 'x' } }],
    ['identity.client_id', { identity: { method: 'managed_identity', clientId: 'a&b' } }],
    ['identity.endpoint', { identity: { method: 'managed_identity', endpoint: 'http://metadata.example/token' } }],
    ['identity.client_secret', { identity: { method: 'client_secret', tenantId: 'a', clientId: 'x', clientSecret: new Secret('') } }],
  ] as const)('a wrong %s is found when the store is made', (option, options) => {
    const identity: AzureIdentity = { method: 'managed_identity' };
    const make = (): unknown => azureKeyVaultTokenStore({ vaultUrl: 'https://v.vault.azure.net', identity, ...options });
    expect(make).toThrow(expect.objectContaining({ code: 'config_invalid', message: expect.stringMatching(`^${option}: `) }));
  });
});

describe('getting in', () => {
  test('the vault is asked for its challenge once, and the token is shared', async () => {
    const mine = store();
    await mine.replace('a', null, recordOf('one'), signal);
    await mine.read('a', signal);
    expect(azure.requests.filter(({ path }) => path.startsWith('/secrets/') && path !== '').map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      ...Array.from({ length: 4 }, () => 'Bearer access-token-1'),
    ]);
  });

  test.each(['https://management.azure.com', 'https://vault.azure.net.evil.example', ''])(
    'a vault that asks for a token for %j gets none, and none is obtained',
    async (resource) => {
      azure.challenge = resource;
      const error = await failureOf(store().read('a', signal));
      expect([error.code, error.members.retryable, error.message]).toEqual(['token_store_failed', false, expect.stringContaining('gets no token')]);
      expect(azure.requests.map(({ method, path, headers }) => [method, path, headers.authorization])).toEqual([
        ['GET', `/secrets/${nameOf('a')}`, undefined],
      ]);
    },
  );

  test('a vault that changes its mind later gets no new token either', async () => {
    const mine = store();
    await mine.replace('a', null, recordOf('one'), signal);
    azure.challenge = 'https://management.azure.com';
    azure.tokens.clear();
    expect((await failureOf(mine.read('a', signal))).message).toContain('gets no token');
    expect(azure.requests.filter(({ path }) => path.endsWith('/token'))).toHaveLength(1);
  });

  test('a token that the vault takes no more is replaced once', async () => {
    const mine = store();
    await mine.replace('a', null, recordOf('one'), signal);
    azure.tokens.clear();
    expect((await mine.read('a', signal)).record.refreshToken.reveal()).toBe('one');
    expect(azure.requests[azure.requests.length - 1].headers.authorization).toBe('Bearer access-token-3');
  });

  test('with the federated token of a workload, read anew for every token', async () => {
    const tokenFile = join(dir, 'token');
    await writeFile(tokenFile, `${FEDERATED_TOKEN}\n`);
    const identity: AzureIdentity = { method: 'workload_identity', tenantId: TENANT, clientId: CLIENT_ID, tokenFile, authority: azure.url };
    const mine = store({ identity });
    await expect(mine.read('a', signal)).rejects.toMatchObject({ code: 'token_not_found' });
    await writeFile(tokenFile, 'another-token-value');
    azure.tokens.clear();
    expect((await failureOf(mine.read('a', signal), ['another-token-value'])).message).toContain('invalid_client');
  });

  test('with the identity of the machine, while the metadata service wakes up', async () => {
    const identity: AzureIdentity = {
      method: 'managed_identity',
      clientId: 'user-assigned',
      endpoint: `${azure.url}/metadata/identity/oauth2/token`,
    };
    azure.intercept = faultOn(({ path }) => path.startsWith('/metadata'), { status: 404 });
    await expect(store({ identity }).read('a', signal)).rejects.toMatchObject({ code: 'token_not_found' });
    const asked = azure.requests.filter(({ path }) => path.startsWith('/metadata'));
    expect(asked.map(({ query }) => query.get('client_id'))).toEqual(['user-assigned', 'user-assigned']);
  });

  test('a wrong secret says so and is no reason to try again', async () => {
    const identity = { ...identityOf(azure), clientSecret: new Secret('wrong-secret-value') } as AzureIdentity;
    const error = await failureOf(store({ identity }).read('a', signal), ['wrong-secret-value', CLIENT_SECRET]);
    expect([error.code, error.members.retryable, error.message]).toEqual([
      'token_store_failed',
      false,
      expect.stringContaining('invalid_client, AADSTS7000215, 401'),
    ]);
  });
});

describe('several processes on one vault', () => {
  test('of two that looked before either wrote, exactly one has the claim', async () => {
    const first = await store().replace('a', null, recordOf('zero'), signal);
    // Both writes are held until both have come: each has then looked and found nothing but the first version.
    const [one, two] = [gate(), gate()];
    const gates = [one, two];
    azure.intercept = (request) => (isWrite(request) ? (gates.shift()?.pass() ?? null) : null);
    const claims = ['x', 'y'].map((owner) => store({ settleMs: 1_000 }).replace('a', first?.version ?? '', claim(owner), signal));
    await Promise.all([one.reached, two.reached]);
    one.open();
    // Twenty exchanges later the first one would long have looked, found its own claim, and believed in it.
    for (let i = 0; i < 20; i += 1) await store().read('a', signal);
    two.open();
    const won = (await Promise.all(claims)).filter((stored) => stored !== null);
    expect(won).toHaveLength(1);
    expect(plain(won[0])).toEqual(plain(await store().read('a', signal)));
    expect(azure.secrets.get(nameOf('a'))).toHaveLength(3);
  });

  test('a claim that took too long to store is made anew before it counts', async () => {
    const first = await store().replace('a', null, recordOf('zero'), signal);
    const slow = gate();
    let writes = 0;
    azure.intercept = (request) => {
      if (!isWrite(request)) return null;
      writes += 1;
      return writes === 1 ? slow.pass() : null;
    };
    const claimed = store({ settleMs: 300 }).replace('a', first?.version ?? '', claim('x'), signal);
    await slow.reached;
    const began = performance.now();
    while (performance.now() - began <= 300) await store().read('a', signal);
    slow.open();
    expect(await claimed).toMatchObject({ version: (await store().read('a', signal)).version });
    expect(writes).toBe(2);
  });

  test('a write that another one has overtaken is answered with null, and both versions stay', async () => {
    const first = await store().replace('a', null, recordOf('zero'), signal);
    azure.intercept = (request) => {
      if (isWrite(request)) return null;
      // The look that follows the write finds what another process has put on top.
      const versions = azure.secrets.get(nameOf('a')) ?? [];
      if (versions.length === 2) azure.put(nameOf('a'), 'from-elsewhere');
      return null;
    };
    expect(await store().replace('a', first?.version ?? '', recordOf('rotated', 'zero'), signal)).toBeNull();
    const values = (azure.secrets.get(nameOf('a')) ?? []).map(({ value }) => value);
    expect(values[1]).toContain('rotated');
    expect(values[2]).toBe('from-elsewhere');
  });

  test('a write that another one has properly built on has been made, but a claim is lost by it', async () => {
    const first = await store().replace('a', null, recordOf('zero'), signal);
    const buildOn = (count: number): void => {
      azure.intercept = (request) => {
        const versions = azure.secrets.get(nameOf('a')) ?? [];
        if (isWrite(request) || versions.length !== count) return null;
        azure.put(nameOf('a'), 'built on it', { replaces: versions[count - 1].id });
        return null;
      };
    };
    buildOn(2);
    const rotated = await store().replace('a', first?.version ?? '', recordOf('rotated', 'zero'), signal);
    expect(rotated?.version).toBe(azure.secrets.get(nameOf('a'))?.[1].id);
    buildOn(4);
    expect(await store().replace('a', azure.secrets.get(nameOf('a'))?.[2].id ?? '', claim('x'), signal)).toBeNull();
  });

  test('an attempt that was given up on and arrives late all the same is known as our own', async () => {
    const first = await store().replace('a', null, recordOf('zero'), signal);
    const slow = gate();
    let writes = 0;
    azure.intercept = (request) => {
      if (isWrite(request)) {
        writes += 1;
        return writes === 1 ? slow.pass() : null;
      }
      // The look after the second write: now the first one arrives.
      if (writes === 2 && azure.secrets.get(nameOf('a'))?.length === 2) {
        slow.open();
        return vi.waitFor(() => {
          expect(azure.secrets.get(nameOf('a'))).toHaveLength(3);
          return null;
        });
      }
      return null;
    };
    const claimed = await store({ timeoutMs: 500 }).replace('a', first?.version ?? '', claim('x'), signal);
    expect(writes).toBe(2);
    expect(claimed?.version).toBe(azure.secrets.get(nameOf('a'))?.[2].id);
  });

  test('many at once: never more than one has the claim', async () => {
    const first = await store().replace('a', null, recordOf('zero'), signal);
    const claims = Array.from({ length: 6 }, (_, i) => store({ settleMs: 500 }).replace('a', first?.version ?? '', claim(`owner-${i}`), signal));
    const won = (await Promise.allSettled(claims)).flatMap((result) =>
      result.status === 'fulfilled' && result.value !== null ? [result.value] : [],
    );
    expect(won.length).toBeLessThanOrEqual(1);
    for (const stored of won) expect(plain(stored)).toEqual(plain(await store().read('a', signal)));
  });
});
