import { awsCall, awsClientOptions } from './aws-client.js';
import { type KeyProvider, providerFailed } from './provider.js';
import { heldMaterial } from './provider-cache.js';
import type { ProviderConfig } from './provider-config.js';
import { jsonObject } from './provider-http.js';
import { secretProvider } from './secret-provider.js';

type SecretConfig = Extract<ProviderConfig, { type: 'aws_secrets_manager' }>;

const NAME = 'AWS Secrets Manager';

/**
 * Material in AWS Secrets Manager: the whole text or bytes, or one member of a JSON text. Versions are those of AWS; a key that an older one
 * wrapped opens for as long as AWS keeps that version. Needs `secretsmanager:GetSecretValue`.
 */
export function awsSecretProvider(config: SecretConfig, timeoutMs?: number): KeyProvider {
  const { type, aws_secret_id: id, aws_secret_key: key, aws_secrets_manager_endpoint: endpoint, cache_ttl: cacheTtl } = config;
  const options = awsClientOptions(config, { name: NAME, id, endpoint, timeoutMs });
  let opened: ReturnType<typeof open> | undefined;

  /** The SDK is loaded when it is needed for the first time. */
  async function open() {
    const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
    return { client: new SecretsManagerClient(options), GetSecretValueCommand };
  }

  const read = heldMaterial(async (version, signal) => {
    opened ??= open();
    const { client, GetSecretValueCommand } = await opened;
    const asked = version === null ? { VersionStage: 'AWSCURRENT' } : { VersionId: version };
    const command = new GetSecretValueCommand({ SecretId: id, ...asked });
    const answer = await awsCall(NAME, () => client.send(command, { abortSignal: signal }), signal);
    if (answer.VersionId === undefined) throw providerFailed(`${NAME} did not say which version of the secret it answered with.`);
    return { bytes: materialIn(answer.SecretString, answer.SecretBinary, key), version: answer.VersionId };
  }, cacheTtl);
  return secretProvider(type, read);
}

function materialIn(secretText: string | undefined, binary: Uint8Array | undefined, key: string | undefined): Buffer {
  if (key === undefined) {
    if (secretText !== undefined) return Buffer.from(secretText);
    if (binary !== undefined) return Buffer.from(binary);
    throw providerFailed(`The secret in ${NAME} is empty.`);
  }
  const values = secretText === undefined ? null : jsonObject(Buffer.from(secretText));
  const value = values !== null && Object.hasOwn(values, key) ? values[key] : undefined;
  if (typeof value !== 'string') throw providerFailed(`The secret in ${NAME} has no text under the key ${JSON.stringify(key)}.`);
  return Buffer.from(value);
}
