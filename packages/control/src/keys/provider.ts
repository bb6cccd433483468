import { createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { KEY_BYTES, randomKey } from './aes-gcm.js';

/** What kind of thing keeps the material that wraps data keys. */
const PROVIDER_TYPES = [
  ...(['value', 'base64', 'random', 'env_var', 'env_var_base64', 'file', 'hashicorpvault', 'hashicorpvault_transit'] as const),
  ...(['aws_secrets_manager', 'aws_kms', 'gcp', 'gcp_kms'] as const),
] as const;

/** One of `PROVIDER_TYPES`. */
export type ProviderType = (typeof PROVIDER_TYPES)[number];

const wrappedKeySchema = z.strictObject({ provider: z.enum(PROVIDER_TYPES), version: z.string(), data: z.string() });

/** A data key as it is stored: who wrapped it, with which version of its own material, and the result. */
export type WrappedKey = z.infer<typeof wrappedKeySchema>;

/** Wraps data keys. What it returns opens only with the same context: the id of the key version that it belongs to. */
export interface KeyProvider {
  readonly type: ProviderType;
  /** Names the material that `wrap` uses now; another name later means that it was rotated at the provider. */
  currentVersion(signal: AbortSignal): Promise<string>;
  wrap(key: KeyObject, context: string, signal: AbortSignal): Promise<WrappedKey>;
  /** Rejects with `key_provider_failed` when the material of that version is not to be had, with `ciphertext_invalid` after tampering. */
  unwrap(wrapped: WrappedKey, context: string, signal: AbortSignal): Promise<KeyObject>;
}

/** The stored text of a wrapped key read back; `ciphertext_invalid` when it is something else. */
export function parseWrappedKey(text: string): WrappedKey {
  try {
    return wrappedKeySchema.parse(JSON.parse(text));
  } catch {
    throw new SallyportError('ciphertext_invalid', { detail: 'A wrapped data key is not of the form that is stored.' });
  }
}

/** Wraps a random key, unwraps it and compares: `key_provider_failed` unless it comes back, and only under its own context. */
export async function probeProvider(provider: KeyProvider, signal: AbortSignal): Promise<void> {
  const key = randomKey();
  const opened = await provider.unwrap(await provider.wrap(key, 'probe', signal), 'probe', signal);
  if (!sameKey(key, opened)) throw providerFailed('The provider does not give back the key that it wrapped.');
}

/** True when both hold the same 32 bytes; takes the same time whatever they hold. */
export function sameKey(one: KeyObject, other: KeyObject): boolean {
  const [a, b] = [one.export(), other.export()];
  const same = a.length === b.length && timingSafeEqual(a, b);
  a.fill(0);
  b.fill(0);
  return same;
}

/** A data key from its bytes, which are overwritten. `ciphertext_invalid` unless there are 32 of them. */
export function keyFromBytes(bytes: Buffer): KeyObject {
  if (bytes.length !== KEY_BYTES) throw new SallyportError('ciphertext_invalid', { detail: 'An unwrapped data key does not have 32 bytes.' });
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** The refusal when a provider does not do what it should. */
export function providerFailed(detail: string, cause?: unknown): SallyportError {
  return new SallyportError('key_provider_failed', cause === undefined ? { detail } : { detail, cause });
}

/**
 * A provider that wraps with the first and opens with whichever made the key: for material that is replaced in its place. Who made a key cannot be
 * told from its version, because the previous provider may have been rotated since; so they are tried, and the first failure is the one reported.
 */
export function withPrevious(current: KeyProvider, previous: readonly KeyProvider[]): KeyProvider {
  return {
    type: current.type,
    currentVersion: (signal) => current.currentVersion(signal),
    wrap: (key, context, signal) => current.wrap(key, context, signal),
    async unwrap(wrapped, context, signal) {
      const candidates = [current, ...previous].filter(({ type }) => type === wrapped.provider);
      const failures: unknown[] = [];
      for (const provider of candidates) {
        try {
          return await provider.unwrap(wrapped, context, signal);
        } catch (error) {
          signal.throwIfAborted();
          failures.push(error);
        }
      }
      if (failures.length === 0) throw providerFailed(`The key was wrapped by the provider ${wrapped.provider}, which is not configured any more.`);
      throw failures[0];
    },
  };
}
