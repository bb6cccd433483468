import { type KeyProvider, keyFromBytes, providerFailed } from './provider.js';
import type { ProviderConfig } from './provider-config.js';
import { callProvider, member } from './provider-http.js';
import { secretProvider } from './secret-provider.js';

type KvConfig = Extract<ProviderConfig, { type: 'hashicorpvault' }>;
type TransitConfig = Extract<ProviderConfig, { type: 'hashicorpvault_transit' }>;

/** Material in Vault's or OpenBao's KV version 2. Versions are those of Vault, so that a key wrapped by an older one still opens. */
export function vaultKvProvider(config: KvConfig): KeyProvider {
  const call = vaultClient(config);
  return secretProvider(config.type, async (version, signal) => {
    const query = version === null ? '' : `?version=${encodeURIComponent(version)}`;
    const answer = member(await call('GET', `${config.vault_mount_path}/data/${config.vault_path}${query}`, undefined, signal), 'data');
    const values = member(answer, 'data');
    const value = Object.hasOwn(values, config.vault_key) ? values[config.vault_key] : undefined;
    if (typeof value !== 'string') throw providerFailed(`The secret in Vault has no text under the key ${JSON.stringify(config.vault_key)}.`);
    return { bytes: Buffer.from(value), version: String(member(answer, 'metadata').version) };
  });
}

/** Vault's Transit engine: data keys are wrapped inside Vault and its key never leaves it. Needs a key type that takes associated data. */
export function vaultTransitProvider(config: TransitConfig): KeyProvider {
  const call = vaultClient(config);
  const { type, vault_transit_key_name: name, vault_transit_mount_path: mount } = config;
  return {
    type,
    async currentVersion(signal) {
      return versionText(member(await call('GET', `${mount}/keys/${name}`, undefined, signal), 'data').latest_version);
    },
    async wrap(key, context, signal) {
      const body = { plaintext: key.export().toString('base64'), associated_data: Buffer.from(context).toString('base64') };
      const { ciphertext } = member(await call('POST', `${mount}/encrypt/${name}`, body, signal), 'data');
      const version = typeof ciphertext === 'string' ? /^vault:v([0-9]+):/.exec(ciphertext)?.[1] : undefined;
      if (typeof ciphertext !== 'string' || version === undefined) throw providerFailed('Vault answered without a ciphertext.');
      return { provider: type, version, data: ciphertext };
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

function versionText(version: unknown): string {
  if (typeof version !== 'number') throw providerFailed('Vault did not say which version of the key is the newest.');
  return String(version);
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
  return (method: 'GET' | 'POST', path: string, body: unknown, signal: AbortSignal) =>
    callProvider(
      { name: `Vault at ${url.origin}`, method, url: `${url.origin}/v1/${path}`, headers, ...(body === undefined ? {} : { body }) },
      signal,
    );
}
