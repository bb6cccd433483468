import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeNewToken } from '@sallyport/credentials';
import { SallyportError, Secret } from '@sallyport/sdk';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { capture } from './captured-output.test.support.js';
import { checkStore } from './check-store.js';
import { onboard } from './onboard-command.test.support.js';
import { findStore, openStore } from './open-store.js';
import { startTokenServer } from './token-server.test.support.js';

const { signal } = new AbortController();
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-onboard-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
});

describe('a store that --store names', () => {
  test('is a file', async () => {
    const store = openStore(`file:${directory}/token`, {});
    await storeNewToken(store, 'any', new Secret('one'), signal);
    expect((await openStore(`file:${directory}/token`, {}).read('other', signal)).record.refreshToken.reveal()).toBe('one');
  });

  test('is a folder of files, one for each key', async () => {
    const store = openStore(`dir:${directory}/tokens`, {});
    await storeNewToken(store, 'contoso.example', new Secret('one'), signal);
    expect((await store.read('contoso.example', signal)).record.refreshToken.reveal()).toBe('one');
    await expect(store.read('other.example', signal)).rejects.toMatchObject({ code: 'token_not_found' });
  });

  test('is Vault', async () => {
    const server = await startTokenServer([[404, { errors: [] }]]);
    onTestFinished(() => server.close());
    const store = openStore(`vault:${server.origin}`, { VAULT_TOKEN: 'the-vault-token', VAULT_NAMESPACE: 'team' });
    await checkStore(store, 'contoso.example', () => Promise.reject(new Error('nobody is asked')));
    expect(server.asked[0]?.path).toBe('/v1/secret/data/tenants/contoso.example');
    expect(server.asked[0]?.headers).toMatchObject({ 'x-vault-token': 'the-vault-token', 'x-vault-namespace': 'team' });
  });

  test('is the control plane', async () => {
    const server = await startTokenServer([[404, {}]]);
    onTestFinished(() => server.close());
    const store = openStore(`control:${server.origin}`, { SALLYPORT_TOKEN: 'the-token' });
    await checkStore(store, 'contoso.example', () => Promise.reject(new Error('nobody is asked')));
    expect(server.asked[0]).toMatchObject({ path: '/tokens/contoso.example', headers: { authorization: 'Bearer the-token' } });
  });

  test.each([
    ['a service principal', { AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c', AZURE_CLIENT_SECRET: 's' }],
    ['a workload identity', { AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c', AZURE_FEDERATED_TOKEN_FILE: '/f' }],
    ['the machine', {}],
  ])('is a key vault, as %s', (_, env) => {
    expect(openStore('azure:https://keys.vault.azure.net', env).description).toContain('keys.vault.azure.net');
  });

  test.each([
    ['drawer:top', {}, 'Kinds: file, dir, vault, azure, control.'],
    ['file', {}, 'KIND:PLACE'],
    ['file:', {}, 'KIND:PLACE'],
    [':x', {}, 'KIND:PLACE'],
    ['constructor:x', {}, 'KIND:PLACE'],
    ['vault:https://vault.example', {}, 'VAULT_TOKEN'],
    ['control:https://control.example', { SALLYPORT_TOKEN: '' }, 'SALLYPORT_TOKEN'],
    ['azure:https://keys.vault.azure.net', { AZURE_CLIENT_SECRET: 's' }, 'AZURE_TENANT_ID'],
  ])('is not %s', (text, env, hint) => {
    expect.assertions(1);
    try {
      openStore(text, env);
    } catch (error) {
      expect(error).toMatchObject({ code: 'onboarding_invalid', hint: expect.stringContaining(hint) });
    }
  });
});

describe('a store that --store names as the configuration does', () => {
  function configuration(file = 'sallyport.yaml'): string {
    const path = join(directory, file);
    const token_stores = { partners: { type: 'directory', path: './tokens' }, single: { type: 'file', path: './token' } };
    writeFileSync(path, JSON.stringify({ gateway: { listeners: { sidecar: {} }, token_stores } }));
    return path;
  }

  test('is the one of that configuration', async () => {
    const config = configuration('other.yaml');
    await storeNewToken(await findStore('partners', {}, config), 'contoso.example', new Secret('one'), signal);
    const stored = await openStore(`dir:${directory}/tokens`, {}).read('contoso.example', signal);
    expect(stored.record.refreshToken.reveal()).toBe('one');
  });

  test('is the one of the configuration that is found without being named', async () => {
    vi.stubEnv('SALLYPORT_CONFIG', configuration());
    onTestFinished(() => void vi.unstubAllEnvs());
    await storeNewToken(await findStore('single', {}, undefined), 'any', new Secret('one'), signal);
    expect((await openStore(`file:${directory}/token`, {}).read('any', signal)).record.refreshToken.reveal()).toBe('one');
  });

  test.each([
    ['partner', 'did you mean "partners"?', 'These are there: partners, single. Otherwise: Write it as KIND:PLACE'],
    ['constructor', 'is no token store of', 'These are there'],
    ['file', 'is no token store of', 'file:/var/lib'],
    ['', 'is no token store of', 'These are there'],
  ])('is not "%s"', async (name, detail, hint) => {
    const refused = findStore(name, {}, configuration());
    await expect(refused).rejects.toThrow(detail);
    await expect(refused).rejects.toMatchObject({ code: 'onboarding_invalid', hint: expect.stringContaining(hint) });
  });

  test('is not there without a configuration', async () => {
    for (const variable of ['SALLYPORT_CONFIG', 'CHAPERONE_CONFIG']) vi.stubEnv(variable, '');
    vi.stubEnv('HOME', directory);
    onTestFinished(() => void vi.unstubAllEnvs());
    await expect(findStore('partners', {}, undefined)).rejects.toMatchObject({
      code: 'onboarding_invalid',
      hint: expect.stringContaining('--config'),
    });
  });

  test('cannot be known when the configuration is not there, or not valid', async () => {
    await expect(findStore('partners', {}, join(directory, 'nowhere.yaml'))).rejects.toMatchObject({ code: 'config_not_found' });
    const config = configuration();
    writeFileSync(config, 'gateway: { token_stores: 1 }');
    await expect(findStore('partners', {}, config)).rejects.toMatchObject({ code: 'config_invalid' });
  });

  test.each([
    ['--config goes with --store only', []],
    ['--config goes with the name of a store only', ['--store', 'file:token']],
    ['is no token store of', ['--store', 'partnres']],
  ])('on the command line: %s', async (said, args) => {
    const printed = capture();
    onTestFinished(() => printed.restore());
    expect(await onboard('microsoft', '--client-id', 'c', '--tenant', 'contoso.example', '--config', configuration(), ...args)).toBe(1);
    expect(printed.stderr()).toContain(said);
  });

  test('is looked into before anybody is asked to consent', async () => {
    const config = configuration();
    await storeNewToken(await findStore('partners', {}, config), 'contoso.example', new Secret('the-old-token'), signal);
    const printed = capture();
    onTestFinished(() => printed.restore());
    expect(await onboard('microsoft', '--client-id', 'c', '--tenant', 'contoso.example', '--config', config, '--store', 'partners')).toBe(4);
    expect(printed.stderr()).toContain('onboarding_token_exists');
    expect(printed.stderr()).not.toContain('the-old-token');
  });
});

describe('a look into the store before the consent', () => {
  test('finds a token that may not be replaced', async () => {
    const store = openStore(`file:${directory}/token`, {});
    await storeNewToken(store, 'k', new Secret('the-old-token'), signal);
    const refused = checkStore(store, 'k', async () => false);
    await expect(refused).rejects.toMatchObject({ code: 'onboarding_token_exists', hint: expect.stringContaining('--force') });
    await expect(refused).rejects.not.toThrow('the-old-token');
    await checkStore(store, 'k', async () => true);
  });

  test('finds a store that does not work', async () => {
    writeFileSync(join(directory, 'tokens'), '');
    const looking = checkStore(openStore(`dir:${directory}/tokens`, {}), 'k', async () => true);
    await expect(looking).rejects.toBeInstanceOf(SallyportError);
    await expect(looking).rejects.toMatchObject({ code: 'token_store_failed' });
  });
});
