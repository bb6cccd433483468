import { createSecretKey, type KeyObject } from 'node:crypto';
import { hmacSha256, openBytes, sealBytes } from './aes-gcm.js';
import { type KeyProvider, keyFromBytes, type ProviderType, providerFailed } from './provider.js';

/** Material as a place that keeps secrets hands it out. */
interface SecretMaterial {
  readonly bytes: Buffer;
  /** The place's own name for this version, which no other place uses; a fingerprint of the material when it has none. */
  readonly version?: string;
  /** The place's own number for this version, where other places count in the same way: the fingerprint stands beside it. */
  readonly revision?: number;
}

/** Reads the material: the newest, or the version that is asked for if the place keeps old ones. */
export type ReadMaterial = (version: string | null, signal: AbortSignal) => Promise<SecretMaterial>;

const MIN_BYTES = 16;
const MAX_BYTES = 4096;
const FINGERPRINT_BYTES = 16;

interface WrappingKey {
  readonly version: string;
  readonly key: KeyObject;
}

/**
 * A provider for places that hand out the material itself: data keys are wrapped here, with AES-256-GCM under a key that HMAC-SHA-256 derives from
 * the material. Material has 16 to 4,096 bytes. The fingerprint that names a version is derived too, and says nothing about the material.
 */
export function secretProvider(type: ProviderType, read: ReadMaterial): KeyProvider {
  async function wrappingKey(version: string | null, signal: AbortSignal): Promise<WrappingKey> {
    const { bytes, version: named, revision } = await read(version, signal);
    if (bytes.length < MIN_BYTES || bytes.length > MAX_BYTES) {
      throw providerFailed(`The key material has ${bytes.length} bytes; between ${MIN_BYTES} and ${MAX_BYTES} are needed, 32 random ones are best.`);
    }
    const material = createSecretKey(bytes);
    bytes.fill(0);
    const fingerprint = hmacSha256(material, 'sallyport key fingerprint 1').subarray(0, FINGERPRINT_BYTES).toString('hex');
    return {
      version: named ?? (revision === undefined ? fingerprint : `${revision}.${fingerprint}`),
      key: createSecretKey(hmacSha256(material, 'sallyport key wrapping 1')),
    };
  }

  return {
    type,
    async currentVersion(signal) {
      return (await wrappingKey(null, signal)).version;
    },
    async wrap(key, context, signal) {
      const { version, key: wrapping } = await wrappingKey(null, signal);
      const bytes = key.export();
      const data = sealBytes(wrapping, bytes, associated(type, version, context)).toString('base64');
      bytes.fill(0);
      return { provider: type, version, data };
    },
    async unwrap(wrapped, context, signal) {
      const { version, key } = await wrappingKey(wrapped.version, signal);
      if (wrapped.provider !== type || version !== wrapped.version) {
        throw providerFailed('The provider no longer holds the material that wrapped this key; put it back, or name it as a previous one.');
      }
      return keyFromBytes(openBytes(key, Buffer.from(wrapped.data, 'base64'), associated(type, version, context)));
    },
  };
}

/** The number that a place gave to a version; null when the version is not one of a place that counts. */
export function revisionOf(version: string): number | null {
  const [, revision] = /^([1-9][0-9]{0,14})\.[0-9a-f]{32}$/.exec(version) ?? [];
  return revision === undefined ? null : Number(revision);
}

function associated(type: ProviderType, version: string, context: string): Buffer {
  return Buffer.from(JSON.stringify(['sallyport wrapped key 1', type, version, context]));
}
