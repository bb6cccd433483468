import { mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createHeldProviders } from './held-providers.js';
import type { KeyRow } from './key-tables.js';
import { parseProviderConfig } from './provider-config.js';

const row: KeyRow = {
  ...{ id: 'key_1', namespace: 'root.a', name: null, state: 'active', provider: 'value', key_data: 'sealed 1', version: 1 },
  ...{ created_at: 0, updated_at: 0, deleted_at: null },
};

test('a provider stays open until the key data changes, and is opened from the row that is given', async () => {
  const opened: (string | null)[] = [];
  const providers = createHeldProviders({
    configOf: async (key) => {
      opened.push(key.key_data);
      return parseProviderConfig({ value: 'the material of the key' });
    },
    rules: [{ namespaces: ['root.**'], providers: ['value'] }],
    env: {},
    heldForMs: 60_000,
  });
  const first = await providers.of(row);
  expect(await providers.of({ ...row, version: 2, name: 'another' })).toBe(first);
  expect(await providers.of({ ...row, key_data: 'sealed 2' })).not.toBe(first);
  providers.clear();
  await providers.of({ ...row, key_data: 'sealed 2' });
  expect(opened).toEqual(['sealed 1', 'sealed 2', 'sealed 2']);
});

test('key data that is gone closes the provider', async () => {
  const providers = createHeldProviders({
    configOf: async ({ key_data }) => {
      if (key_data === null) throw new Error('destroyed');
      return parseProviderConfig({ value: 'the material of the key' });
    },
    rules: [{ namespaces: ['root.**'], providers: ['value'] }],
    env: {},
    heldForMs: 60_000,
  });
  await providers.of(row);
  await expect(providers.of({ ...row, key_data: null })).rejects.toThrow('destroyed');
  await expect(providers.of({ ...row, key_data: null })).rejects.toThrow('destroyed');
});

test('an open provider is refused as soon as what it points at is outside of the rules', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-held-'));
  const outside = mkdtempSync(join(tmpdir(), 'sallyport-outside-'));
  try {
    const path = join(folder, 'key');
    writeFileSync(path, 'the material of the key');
    const providers = createHeldProviders({
      configOf: async () => parseProviderConfig({ path }),
      rules: [{ namespaces: ['root.**'], providers: ['file'], folders: [folder] }],
      env: {},
      heldForMs: 60_000,
    });
    await providers.of({ ...row, provider: 'file' });
    unlinkSync(path);
    writeFileSync(join(outside, 'secret'), 'a secret of the server');
    symlinkSync(join(outside, 'secret'), path);
    await expect(providers.of({ ...row, provider: 'file' })).rejects.toMatchObject({ code: 'key_provider_forbidden' });
  } finally {
    for (const each of [folder, outside]) rmSync(each, { recursive: true, force: true });
  }
});
