import { type KeyProvider, keyFromBytes, providerFailed } from './provider.js';
import { held, heldMaterial } from './provider-cache.js';
import type { ProviderConfig } from './provider-config.js';
import { callProvider, member } from './provider-http.js';
import { revisionOf, secretProvider } from './secret-provider.js';

type KvConfig = Extract<ProviderConfig, { type: 'hashicorpvault' }>;
type TransitConfig = Extract<ProviderConfig, { type: 'hashicorpvault_transit' }>;

/**
 * Material in Vault's or OpenBao's KV version 2. The version is the number that Vault gave it and the fingerprint of the material: by the number a key
 * that an older one wrapped still opens, and by the fingerprint it is noticed that the configuration points at other material of the same number.
 */
export function vaultKvProvider(config: KvConfig): KeyProvider {
  const { call } = vaultClient(config);
  const read = heldMaterial(async (version, signal) => {
    const asked = version === null ? null : revisionOf(version);
    if (version !== null && asked === null) throw providerFailed('The key was not wrapped by a secret in Vault.');
    const query = asked === null ? '' : `?version=${asked}`;
    const answer = member(await call('GET', `${config.vault_mount_path}/data/${config.vault_path}${query}`, undefined, signal), 'data');
    const values = member(answer, 'data');
    const value = Object.hasOwn(values, config.vault_key) ? values[config.vault_key] : undefined;
    if (typeof value !== 'string') throw providerFailed(`The secret in Vault has no text under the key ${JSON.stringify(config.vault_key)}.`);
    return { bytes: Buffer.from(value), revision: versionNumber(member(answer, 'metadata').version) };
  }, config.cache_ttl);
  return secretProvider(config.type, read);
}

/**
 * Vault's Transit engine: data keys are wrapped inside Vault and its key never leaves it. Needs a key type that takes associated data. The version is
 * the URL of the key and the number of its version, so that two keys never share one.
 */
export function vaultTransitProvider(config: TransitConfig): KeyProvider {
  const { call, base } = vaultClient(config);
  const { type, vault_transit_key_name: name, vault_transit_mount_path: mount } = config;
  const versionText = (version: number): string => `${base}/${mount}/keys/${name}#${version}`;
  const newest = held(async (_what, signal) => {
    const answer = member(await call('GET', `${mount}/keys/${name}`, undefined, signal), 'data');
    return { version: versionText(versionNumber(answer.latest_version)) };
  }, config.cache_ttl);
  return {
    type,
    async currentVersion(signal) {
      return (await newest(null, signal)).version;
    },
    async wrap(key, context, signal) {
      const body = { plaintext: key.export().toString('base64'), associated_data: Buffer.from(context).toString('base64') };
      const { ciphertext } = member(await call('POST', `${mount}/encrypt/${name}`, body, signal), 'data');
      const version = typeof ciphertext === 'string' ? /^vault:v([0-9]+):/.exec(ciphertext)?.[1] : undefined;
      if (typeof ciphertext !== 'string' || version === undefined) throw providerFailed('Vault answered without a ciphertext.');
      return { provider: type, version: versionText(Number(version)), data: ciphertext };
    },
    async unwrap(wrapped, context, signal) {
      if (wrapped.provider !== type) throw providerFailed('The key was wrapped by another provider.');
      const body = { ciphertext: wrapped.data, associated_data: Buffer.from(context).toString('base64') };
      const { plaintext } = member(await call('POST', `${mount}/decrypt/${name}`, body, signal), 'data');
      if (typeof plaintext !== 'string') throw providerFailed('Vault answered without a plaintext.');
      return keyFromBytes(Buffer.from(plaintext, 'base64'));
    },
  };
}

function versionNumber(version: unknown): number {
  if (!Number.isSafeInteger(version) || Number(version) < 1) throw providerFailed('Vault did not say which version it answered with.');
  return Number(version);
}

function vaultClient({ vault_address: address, vault_token: token, vault_namespace: namespace }: KvConfig | TransitConfig) {
  const url = URL.canParse(address) ? new URL(address) : null;
  const loopback = url !== null && (url.hostname === 'localhost' || url.hostname === '[::1]' || /^127\.[0-9.]+$/.test(url.hostname));
  if (url === null || !(url.protocol === 'https:' || (url.protocol === 'http:' && loopback)) || url.username !== '' || url.pathname !== '/') {
    throw providerFailed('The address of Vault is not an https URL of only scheme, host and port; http is taken only for loopback addresses.');
  }
  const headers = {
    'x-vault-token': token.trim(),
    'x-vault-request': 'true',
    'content-type': 'application/json',
    ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
  };
  const call = (method: 'GET' | 'POST', path: string, body: unknown, signal: AbortSignal) =>
    callProvider(
      { name: `Vault at ${url.origin}`, method, url: `${url.origin}/v1/${path}`, headers, ...(body === undefined ? {} : { body }) },
      signal,
    );
  return { call, base: `${url.origin}/v1${namespace === undefined ? '' : `/${namespace}`}` };
}
