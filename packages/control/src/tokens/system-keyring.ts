import { createSecretKey, hkdfSync } from 'node:crypto';
import type { VerificationKey } from './verification-key.js';

/** A version of the key that the tokens of this system are signed with: its id, which becomes the `kid`, and at least 32 secret bytes. */
export interface SystemKeyVersion {
  readonly id: string;
  readonly material: Uint8Array;
}

/** The keys that sign and verify the tokens of this system. */
export interface SystemKeyring {
  /** The one that signs: the first. */
  readonly current: () => VerificationKey;
  /** The one of this id, unless it is gone. */
  readonly find: (kid: string) => VerificationKey | undefined;
}

/**
 * Derives signing keys (HS256) from key versions, newest first, so that the versions themselves never sign anything. `versions` is asked each time: a
 * rotation shows at once, and a version that is no longer in the list verifies nothing any more.
 */
export function systemKeyring(versions: () => readonly SystemKeyVersion[]): SystemKeyring {
  const derived = new WeakMap<SystemKeyVersion, VerificationKey>();
  const derive = (version: SystemKeyVersion): VerificationKey => {
    const known = derived.get(version);
    if (known !== undefined) return known;
    if (version.material.length < 32) throw new Error(`The key version ${version.id} has fewer than 32 bytes`);
    const bytes = hkdfSync('sha256', version.material, '', `sallyport token signing\0${version.id}`, 32);
    const key: VerificationKey = { kid: version.id, algorithm: 'HS256', key: createSecretKey(Buffer.from(bytes)) };
    derived.set(version, key);
    return key;
  };
  return {
    current() {
      const [first] = versions();
      if (first === undefined) throw new Error('There is no key to sign tokens with');
      return derive(first);
    },
    find(kid) {
      const version = versions().find(({ id }) => id === kid);
      return version === undefined ? undefined : derive(version);
    },
  };
}
