import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { awsKmsProvider } from './aws-kms-provider.js';
import { awsSecretProvider } from './aws-secret-provider.js';
import { gcpKmsProvider } from './gcp-kms-provider.js';
import { gcpSecretProvider } from './gcp-secret-provider.js';
import { type KeyProvider, providerFailed } from './provider.js';
import type { ProviderConfig } from './provider-config.js';
import { secretProvider } from './secret-provider.js';
import { vaultKvProvider, vaultTransitProvider } from './vault-provider.js';

/** Where local material is read from, and how long others are waited for. */
export interface ProviderSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How long one call of a cloud may take. 10 s when left out. */
  readonly callTimeoutMs?: number;
}

/** `random` with its material: what is stored, encrypted with the parent's key, of a key that was made here. */
export function generateMaterial(config: ProviderConfig): ProviderConfig {
  if (config.type !== 'random') return config;
  const bytes = randomBytes(config.num_bytes);
  const base64 = bytes.toString('base64');
  bytes.fill(0);
  return { type: 'base64', base64 };
}

/** The provider that is configured. Whether the namespace may name it has been decided before; nothing is read or called yet. */
export function openProvider(config: ProviderConfig, { env, callTimeoutMs }: ProviderSurroundings): KeyProvider {
  switch (config.type) {
    case 'value':
      return secretProvider(config.type, async () => ({ bytes: Buffer.from(config.value) }));
    case 'base64':
      return secretProvider(config.type, async () => ({ bytes: Buffer.from(config.base64, 'base64') }));
    case 'random':
      throw new TypeError('random material has to be generated before the provider is opened');
    case 'env_var':
      return secretProvider(config.type, async () => ({ bytes: Buffer.from(variable(env, config.env_var)) }));
    case 'env_var_base64':
      return secretProvider(config.type, async () => ({ bytes: Buffer.from(variable(env, config.env_var_base64), 'base64') }));
    case 'file':
      return secretProvider(config.type, async (_version, signal) => ({ bytes: await fileBytes(config.path, signal) }));
    case 'hashicorpvault':
      return vaultKvProvider(config);
    case 'hashicorpvault_transit':
      return vaultTransitProvider(config);
    case 'aws_secrets_manager':
      return awsSecretProvider(config, callTimeoutMs);
    case 'aws_kms':
      return awsKmsProvider(config, callTimeoutMs);
    case 'gcp':
      return gcpSecretProvider(config, callTimeoutMs);
    case 'gcp_kms':
      return gcpKmsProvider(config, callTimeoutMs);
  }
}

function variable(env: ProviderSurroundings['env'], name: string): string {
  const value = env[name];
  if (value === undefined || value === '') throw providerFailed(`The environment variable ${name} is not set.`);
  return value;
}

/** The bytes of a file; of one that is nothing but printable text, without the line break that editors leave at its end. */
async function fileBytes(path: string, signal: AbortSignal): Promise<Buffer> {
  try {
    const bytes = await readFile(path, { signal });
    const text = bytes.toString('latin1');
    return /^[\x20-\x7e]+\r?\n$/.test(text) ? Buffer.from(text.trimEnd()) : bytes;
  } catch (error) {
    signal.throwIfAborted();
    throw providerFailed(`The key file ${path} cannot be read.`, error);
  }
}
