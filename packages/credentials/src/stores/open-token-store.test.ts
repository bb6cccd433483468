import { Secret } from '@sallyport/sdk';
import { describe, expect, test } from 'vitest';
import { openTokenStore, type TokenStoreDescription } from './open-token-store.js';

const token = new Secret('t');
const stores: readonly (readonly [TokenStoreDescription, string])[] = [
  [{ type: 'file', path: '/x/token' }, 'file /x/token'],
  [{ type: 'directory', path: '/x' }, 'files in /x'],
  [{ type: 'vault', address: 'https://v.example', auth: { method: 'token', token } }, 'vault secret/tenants'],
  [{ type: 'azure_key_vault', vaultUrl: 'https://v.vault.azure.net', identity: { method: 'managed_identity' } }, 'v.vault.azure.net'],
  [{ type: 'control_plane', baseUrl: 'https://c.example/v1', token }, 'https://c.example/v1'],
];

describe('a description opens the store that it names', () => {
  test.each(stores)('%j', (description, named) => {
    expect(openTokenStore(description).description).toContain(named);
  });

  test('and an option that cannot work is named first', () => {
    expect(() => openTokenStore({ type: 'control_plane', baseUrl: 'ftp://c.example', token })).toThrow(/^base_url: /);
  });
});
