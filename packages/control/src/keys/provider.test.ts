import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { randomKey } from './aes-gcm.js';
import { generateMaterial, openProvider } from './open-provider.js';
import { parseWrappedKey, probeProvider, sameKey, withPrevious } from './provider.js';
import { parseProviderConfig, publicKeyData } from './provider-config.js';
import { checkProviderAllowed, DEFAULT_PROVIDER_RULES, type ProviderRule } from './provider-rules.js';
import { startVault, type TestVault } from './vault-server.test.support.js';

const signal = new AbortController().signal;
const open = (data: unknown, env: Record<string, string> = {}) => openProvider(parseProviderConfig(data), { env });

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    return error instanceof SallyportError ? error.code : String(error);
  }
}

describe('key data', () => {
  test.each([
    [{ value: 'v' }, 'value'],
    [{ base64: 'AAAA' }, 'base64'],
    [{ random: true }, 'random'],
    [{ env_var: 'X' }, 'env_var'],
    [{ env_var_base64: 'X' }, 'env_var_base64'],
    [{ path: '/x' }, 'file'],
    [{ vault_address: 'https://v', vault_token: 't', vault_path: 'a/b' }, 'hashicorpvault'],
    [{ vault_address: 'https://v', vault_token: 't', vault_transit_key_name: 'k' }, 'hashicorpvault_transit'],
  ])('%j is recognised by its members', (data, type) => {
    expect(parseProviderConfig(data).type).toBe(type);
  });

  test.each([
    [{}],
    [null],
    ['value'],
    [{ value: 'the-secret', base64: 'AAAA' }],
    [{ value: 'the-secret', extra: 1 }],
    [{ value: '' }],
    [{ base64: 'the-secret' }],
    [{ random: true, num_bytes: 8 }],
    [{ vault_path: 'a', vault_address: 'https://v' }],
    [{ vault_path: 'a/../../sys', vault_address: 'https://v', vault_token: 'the-secret', vault_mount_path: 'x?y' }],
  ])('%j is refused, and the error does not repeat it', (data) => {
    const error = (() => {
      try {
        return parseProviderConfig(data);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toMatchObject({ code: 'key_data_invalid' });
    expect(String(error)).not.toContain('the-secret');
  });

  test('a path cannot climb', () => {
    const data = { vault_path: 'a/../../sys', vault_address: 'https://v', vault_token: 't' };
    expect(() => parseProviderConfig(data)).toThrow('vault_path');
  });

  test('what is shown leaves the secret members out', () => {
    expect(publicKeyData(parseProviderConfig({ vault_address: 'https://v', vault_token: 't', vault_path: 'p' }))).toEqual({
      vault_address: 'https://v',
      vault_path: 'p',
      vault_key: 'value',
      vault_mount_path: 'secret',
    });
    expect(publicKeyData(parseProviderConfig({ value: 'v' }))).toEqual({});
  });
});

describe('local providers', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-keys-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('wrap and unwrap, and only under the same context', async () => {
    writeFileSync(join(folder, 'k'), 'sixteen bytes ok\n');
    const env = { K: 'sixteen bytes ok', B: Buffer.alloc(32, 7).toString('base64') };
    for (const data of [{ value: env.K }, { base64: env.B }, { env_var: 'K' }, { env_var_base64: 'B' }, { path: join(folder, 'k') }]) {
      const provider = open(data, env);
      await probeProvider(provider, signal);
      const key = randomKey();
      const wrapped = await provider.wrap(key, 'ekv_1', signal);
      expect(parseWrappedKey(JSON.stringify(wrapped))).toEqual(wrapped);
      expect(sameKey(key, await provider.unwrap(wrapped, 'ekv_1', signal))).toBe(true);
      expect(await codeOf(provider.unwrap(wrapped, 'ekv_2', signal))).toBe('ciphertext_invalid');
      expect(JSON.stringify(wrapped)).not.toContain(key.export().toString('base64'));
    }
    const random = openProvider(generateMaterial(parseProviderConfig({ random: true })), { env });
    await probeProvider(random, signal);
  });

  test('the line break at the end of a text file does not count', async () => {
    writeFileSync(join(folder, 'k'), 'sixteen bytes ok\n');
    expect(await open({ path: join(folder, 'k') }).currentVersion(signal)).toBe(await open({ value: 'sixteen bytes ok' }).currentVersion(signal));
  });

  test('material that is too short, missing or gone is refused', async () => {
    expect(await codeOf(probeProvider(open({ value: 'short' }), signal))).toBe('key_provider_failed');
    expect(await codeOf(probeProvider(open({ env_var: 'NONE' }), signal))).toBe('key_provider_failed');
    expect(await codeOf(probeProvider(open({ path: join(folder, 'none') }), signal))).toBe('key_provider_failed');
  });

  test('material that was replaced opens with the previous one, and not without', async () => {
    const [old, replaced] = [open({ value: 'the older material' }), open({ value: 'the newer material' })];
    const key = randomKey();
    const wrapped = await old.wrap(key, 'c', signal);
    expect(await codeOf(replaced.unwrap(wrapped, 'c', signal))).toBe('key_provider_failed');
    expect(sameKey(key, await withPrevious(replaced, [old]).unwrap(wrapped, 'c', signal))).toBe(true);
  });
});

describe('what a namespace may name', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-rules-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const allowed = async (rules: readonly ProviderRule[], namespace: string, data: unknown) =>
    codeOf(checkProviderAllowed(rules, namespace, parseProviderConfig(data)));
  const vault = (address: string) => ({ vault_address: address, vault_token: 't', vault_path: 'p' });

  test('nothing that points at the server, unless a rule says so', async () => {
    for (const data of [{ env_var: 'HOME' }, { path: '/etc/passwd' }, vault('http://127.0.0.1:8200')]) {
      expect(await allowed(DEFAULT_PROVIDER_RULES, 'root.a', data)).toBe('key_provider_forbidden');
    }
    for (const data of [{ value: 'v' }, { random: true }]) expect(await allowed(DEFAULT_PROVIDER_RULES, 'root.a', data)).toBe('none');
    expect(await allowed([], 'root', { value: 'v' })).toBe('key_provider_forbidden');
  });

  test('variables by name or by their beginning, for the namespaces of the rule', async () => {
    const rules: ProviderRule[] = [{ namespaces: ['root.a.**'], providers: ['env_var'], env: ['KEY', 'TENANT_*'] }];
    expect(await allowed(rules, 'root.a', { env_var: 'KEY' })).toBe('none');
    expect(await allowed(rules, 'root.a.b', { env_var: 'TENANT_1' })).toBe('none');
    expect(await allowed(rules, 'root.ab', { env_var: 'KEY' })).toBe('key_provider_forbidden');
    expect(await allowed(rules, 'root.a', { env_var: 'KEY2' })).toBe('key_provider_forbidden');
    expect(await allowed(rules, 'root.a', { env_var_base64: 'KEY' })).toBe('key_provider_forbidden');
  });

  test('files inside a folder, also through links', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'sallyport-outside-'));
    writeFileSync(join(outside, 'secret'), 'x');
    writeFileSync(join(folder, 'k'), 'x');
    symlinkSync(join(outside, 'secret'), join(folder, 'link'));
    const rules: ProviderRule[] = [{ namespaces: ['root'], providers: ['file'], folders: [folder] }];
    expect(await allowed(rules, 'root', { path: join(folder, 'k') })).toBe('none');
    for (const path of [
      join(folder, 'link'),
      `${folder}/../${outside.split('/').at(-1)}/secret`,
      `${folder}2/k`,
      'k',
      join(folder, 'none'),
      folder,
    ]) {
      expect([path, await allowed(rules, 'root', { path })]).toEqual([path, 'key_provider_forbidden']);
    }
    rmSync(outside, { recursive: true, force: true });
  });

  test('addresses of Vault by scheme, host and port', async () => {
    const rules: ProviderRule[] = [{ namespaces: ['root.**'], providers: ['hashicorpvault'], vaultAddresses: ['https://vault.example'] }];
    expect(await allowed(rules, 'root.a', vault('https://vault.example:443/'))).toBe('none');
    for (const address of [
      'http://vault.example',
      'https://vault.example:8200',
      'https://vault.example.evil',
      'https://vault.example@evil',
      'not a url',
    ]) {
      expect([address, await allowed(rules, 'root.a', vault(address))]).toEqual([address, 'key_provider_forbidden']);
    }
  });
});

describe('Vault', () => {
  let vault: TestVault;
  beforeEach(async () => {
    vault = await startVault();
  });
  afterEach(() => vault.stop());
  const kv = () => open({ vault_address: vault.address, vault_token: 'vault-token', vault_path: 'app/key', vault_key: 'material' });
  const transit = () => open({ vault_address: vault.address, vault_token: 'vault-token', vault_transit_key_name: 'app' });

  test('KV: an older version still opens after the material was rotated', async () => {
    vault.writeSecret('material of version 1');
    const key = randomKey();
    await probeProvider(kv(), signal);
    const wrapped = await kv().wrap(key, 'c', signal);
    expect(await kv().currentVersion(signal)).toMatch(/^1\.[0-9a-f]{32}$/);
    vault.writeSecret('material of version 2');
    expect(await kv().currentVersion(signal)).toMatch(/^2\./);
    expect(sameKey(key, await kv().unwrap(wrapped, 'c', signal))).toBe(true);
    for (const version of ['1', '1.x', '../1.00000000000000000000000000000000']) {
      expect(await codeOf(kv().unwrap({ ...wrapped, version }, 'c', signal))).toBe('key_provider_failed');
    }
  });

  test('the same version number elsewhere is another version', async () => {
    const elsewhere = await startVault();
    vault.writeSecret('material of version 1');
    elsewhere.writeSecret('material of another');
    const there = { vault_address: elsewhere.address, vault_token: 'vault-token' };
    expect(await open({ ...there, vault_path: 'app/key', vault_key: 'material' }).currentVersion(signal)).not.toBe(await kv().currentVersion(signal));
    expect(await open({ ...there, vault_transit_key_name: 'app' }).currentVersion(signal)).not.toBe(await transit().currentVersion(signal));
    await elsewhere.stop();
  });

  test('goes on with what it read for as long as cache_ttl says', async () => {
    vault.writeSecret('material of version 1');
    const access = { vault_address: vault.address, vault_token: 'vault-token', cache_ttl: '1h' };
    const providers = [open({ ...access, vault_path: 'app/key', vault_key: 'material' }), open({ ...access, vault_transit_key_name: 'app' })];
    const before = await Promise.all(providers.map((provider) => provider.currentVersion(signal)));
    vault.writeSecret('material of version 2');
    vault.rotateTransit();
    expect(await Promise.all(providers.map((provider) => provider.currentVersion(signal)))).toEqual(before);
    expect(await Promise.all([kv(), transit()].map((provider) => provider.currentVersion(signal)))).not.toEqual(before);
  });

  test('Transit: the key stays in Vault, and the context is bound', async () => {
    const key = randomKey();
    await probeProvider(transit(), signal);
    const wrapped = await transit().wrap(key, 'c', signal);
    expect(wrapped).toMatchObject({ provider: 'hashicorpvault_transit', version: `${vault.address}/v1/transit/keys/app#1` });
    expect(await transit().currentVersion(signal)).toBe(wrapped.version);
    vault.rotateTransit();
    expect(await transit().currentVersion(signal)).toBe(`${vault.address}/v1/transit/keys/app#2`);
    expect(sameKey(key, await transit().unwrap(wrapped, 'c', signal))).toBe(true);
    expect(await codeOf(transit().unwrap(wrapped, 'd', signal))).toBe('key_provider_failed');
  });

  test('a wrong token, a missing secret and plain http elsewhere are refused, without repeating the token', async () => {
    const wrong = open({ vault_address: vault.address, vault_token: 'wrong-token', vault_path: 'app/key' });
    const error = await wrong.currentVersion(signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'key_provider_failed' });
    expect(String(error)).toContain('403');
    expect(String(error)).not.toContain('wrong-token');
    expect(await codeOf(kv().currentVersion(signal))).toBe('key_provider_failed');
    expect(() => open({ vault_address: 'http://vault.example', vault_token: 't', vault_path: 'p' })).toThrow('https');
  });

  test('an abort rejects with its reason', async () => {
    const abort = new AbortController();
    abort.abort(new Error('enough'));
    await expect(kv().currentVersion(abort.signal)).rejects.toThrow('enough');
  });
});
