import { ciphertextInvalid } from './aes-gcm.js';
import { awsCall, awsClientOptions } from './aws-client.js';
import { type KeyProvider, keyFromBytes, providerFailed } from './provider.js';
import { held } from './provider-cache.js';
import type { ProviderConfig } from './provider-config.js';

type KmsConfig = Extract<ProviderConfig, { type: 'aws_kms' }>;

/** The key behind the configured id at the moment, and what of it changes when it is rotated. */
interface KmsKey {
  readonly arn: string;
  readonly version: string;
}

const NAME = 'AWS KMS';
/** Under which name the context of a data key is part of the encryption context, which AWS binds, and logs in clear. */
const CONTEXT = 'sallyport:context';

/**
 * A symmetric key of AWS KMS: data keys are wrapped there and the key never leaves it. The version is the ARN of the key and, where AWS says it,
 * the id of its material; so both a rotation and an alias that was pointed elsewhere are noticed. An alias opens what other keys of the same
 * account and region wrapped while it pointed at them. Needs `kms:DescribeKey`, `kms:Encrypt` and `kms:Decrypt`.
 */
export function awsKmsProvider(config: KmsConfig, timeoutMs?: number): KeyProvider {
  const { type, aws_kms_key_id: id, aws_kms_endpoint: endpoint, cache_ttl: cacheTtl } = config;
  const options = awsClientOptions(config, { name: NAME, id, endpoint, timeoutMs });
  let opened: ReturnType<typeof open> | undefined;

  /** The SDK is loaded when it is needed for the first time. */
  async function open() {
    const { DecryptCommand, DescribeKeyCommand, EncryptCommand, KMSClient } = await import('@aws-sdk/client-kms');
    return { client: new KMSClient(options), DecryptCommand, DescribeKeyCommand, EncryptCommand };
  }

  function loaded(): ReturnType<typeof open> {
    opened ??= open();
    return opened;
  }

  const describe = held<KmsKey>(async (_what, signal) => {
    const { client, DescribeKeyCommand } = await loaded();
    const answer = await awsCall(NAME, () => client.send(new DescribeKeyCommand({ KeyId: id }), { abortSignal: signal }), signal);
    const { Arn: arn, CurrentKeyMaterialId: material } = answer.KeyMetadata ?? {};
    if (arn === undefined) throw providerFailed(`${NAME} did not say which key that is.`);
    return { arn, version: material === undefined ? arn : `${arn}#${material}` };
  }, cacheTtl);

  /** Which key to decrypt with: the configured one, or the one behind the alias at the time of wrapping. */
  async function decryptingKey(version: string, signal: AbortSignal): Promise<string> {
    if (!/(?:^|:)alias\//.test(id)) return id;
    const wrappedBy = version.split('#', 1)[0] ?? '';
    const { arn } = await describe(null, signal);
    // The version is read from the database. Whoever can write there must not have a key of their own account decrypted with.
    if (!/^[A-Za-z0-9-]+$/.test(wrappedBy.slice(accountPart(arn).length)) || accountPart(wrappedBy) !== accountPart(arn)) {
      throw providerFailed('The key was wrapped by a key of another AWS account or region.');
    }
    return wrappedBy;
  }

  return {
    type,
    async currentVersion(signal) {
      return (await describe(null, signal)).version;
    },
    async wrap(key, context, signal) {
      // Asked before: a rotation in between then counts as one that is still to be noticed, not as one that has been.
      const { arn, version } = await describe(null, signal);
      const { client, EncryptCommand } = await loaded();
      const plaintext = key.export();
      const command = new EncryptCommand({ KeyId: arn, Plaintext: plaintext, EncryptionContext: { [CONTEXT]: context } });
      const call = () => client.send(command, { abortSignal: signal });
      const answer = await awsCall(NAME, call, signal).finally(() => plaintext.fill(0));
      if (answer.CiphertextBlob === undefined || answer.KeyId !== arn) throw providerFailed(`${NAME} did not encrypt with the key that was named.`);
      return { provider: type, version, data: Buffer.from(answer.CiphertextBlob).toString('base64') };
    },
    async unwrap(wrapped, context, signal) {
      if (wrapped.provider !== type) throw providerFailed('The key was wrapped by another provider.');
      const { client, DecryptCommand } = await loaded();
      const CiphertextBlob = Buffer.from(wrapped.data, 'base64');
      const KeyId = await decryptingKey(wrapped.version, signal);
      const command = new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext: { [CONTEXT]: context } });
      const refused = (name: string) =>
        name === 'InvalidCiphertextException' ? ciphertextInvalid(`${NAME} found it changed, or bound to another context.`) : null;
      const { Plaintext } = await awsCall(NAME, () => client.send(command, { abortSignal: signal }), signal, refused);
      if (Plaintext === undefined) throw providerFailed(`${NAME} answered without a plaintext.`);
      // The same memory, so that it is overwritten with the rest.
      return keyFromBytes(Buffer.from(Plaintext.buffer, Plaintext.byteOffset, Plaintext.byteLength));
    },
  };
}

/** `arn:aws:kms:REGION:ACCOUNT:key/`. */
function accountPart(arn: string): string {
  return arn.slice(0, arn.lastIndexOf('/') + 1);
}
