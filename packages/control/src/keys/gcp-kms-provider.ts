import { ciphertextInvalid } from './aes-gcm.js';
import { gcpClient } from './gcp-client.js';
import { crc32c } from './gcp-crc32c.js';
import { gcpTokens } from './gcp-credentials.js';
import { gcpKmsKeyName } from './gcp-resource.js';
import { type KeyProvider, keyFromBytes, providerFailed } from './provider.js';
import { held } from './provider-cache.js';
import type { ProviderConfig } from './provider-config.js';
import { answeredObject, jsonObject, member } from './provider-http.js';

type KmsConfig = Extract<ProviderConfig, { type: 'gcp_kms' }>;

const NAME = 'Google Cloud KMS';
const SCOPE = 'https://www.googleapis.com/auth/cloudkms';

/**
 * A symmetric key of Google Cloud KMS: data keys are wrapped there and the key never leaves it. The version is the resource name of the primary
 * version. Checksums are sent with every request and checked in every answer. Needs `cloudkms.cryptoKeys.get`,
 * `cloudkms.cryptoKeyVersions.useToEncrypt` and `cloudkms.cryptoKeyVersions.useToDecrypt`.
 */
export function gcpKmsProvider(config: KmsConfig, timeoutMs?: number): KeyProvider {
  const { type, gcp_kms_endpoint: endpoint, cache_ttl: cacheTtl } = config;
  const keyName = gcpKmsKeyName(config);
  if (keyName === null) throw providerFailed(`The key in ${NAME} is not named.`);
  const tokens = gcpTokens(config, SCOPE, timeoutMs);
  const call = gcpClient({ name: NAME, origin: 'https://cloudkms.googleapis.com', endpoint, tokens, timeoutMs });
  const primary = held(async (_what, signal) => {
    const answer = answeredObject(NAME, await call(keyName, undefined, signal));
    return { version: versionName(member(answer, 'primary').name) };
  }, cacheTtl);

  return {
    type,
    async currentVersion(signal) {
      return (await primary(null, signal)).version;
    },
    async wrap(key, context, signal) {
      const plaintext = key.export();
      const request = { ...checked('plaintext', plaintext), ...checked('additionalAuthenticatedData', Buffer.from(context)) };
      plaintext.fill(0);
      const answer = answeredObject(NAME, await call(`${keyName}:encrypt`, request, signal));
      const { verifiedPlaintextCrc32c, verifiedAdditionalAuthenticatedDataCrc32c } = answer;
      if (verifiedPlaintextCrc32c !== true || verifiedAdditionalAuthenticatedDataCrc32c !== true) {
        throw providerFailed(`The request to ${NAME} was damaged on the way.`);
      }
      return { provider: type, version: versionName(answer.name), data: bytesOf(answer, 'ciphertext').toString('base64') };
    },
    async unwrap(wrapped, context, signal) {
      if (wrapped.provider !== type) throw providerFailed('The key was wrapped by another provider.');
      const ciphertext = Buffer.from(wrapped.data, 'base64');
      const request = { ...checked('ciphertext', ciphertext), ...checked('additionalAuthenticatedData', Buffer.from(context)) };
      const answer = await call(`${keyName}:decrypt`, request, signal);
      // What was sent is well formed, so it is the ciphertext or what it is bound to. A disabled version answers with 400 too, but not with this.
      if (member(jsonObject(answer.body) ?? {}, 'error').status === 'INVALID_ARGUMENT')
        throw ciphertextInvalid(`${NAME} found it changed, or bound to another context or key.`);
      return keyFromBytes(bytesOf(answeredObject(NAME, answer), 'plaintext'));
    },
  };
}

/** A member of a request with its checksum beside it. */
function checked(name: string, bytes: Uint8Array): Readonly<Record<string, string>> {
  return { [name]: Buffer.from(bytes).toString('base64'), [`${name}Crc32c`]: String(crc32c(bytes)) };
}

/** The bytes of a member of an answer, if its checksum is right. */
function bytesOf(answer: Readonly<Record<string, unknown>>, name: string): Buffer {
  const { [name]: base64, [`${name}Crc32c`]: checksum } = answer;
  const bytes = Buffer.from(typeof base64 === 'string' ? base64 : '', 'base64');
  if (bytes.length === 0 || String(crc32c(bytes)) !== String(checksum)) throw providerFailed(`The answer of ${NAME} was damaged on the way.`);
  return bytes;
}

function versionName(name: unknown): string {
  if (typeof name !== 'string' || name.length > 1024 || !/\/cryptoKeyVersions\/[0-9]+$/.test(name)) {
    throw providerFailed(`${NAME} did not say which version of the key it uses.`);
  }
  return name;
}
