import { createSecretKey, type KeyObject } from 'node:crypto';
import type { Secret } from '@sallyport/sdk';
import { SallyportError } from '@sallyport/sdk';
import { keyObjectOf, type PublicAlgorithm, type PublicKey } from '../actors/public-key.js';

/** The algorithms of shared secrets (RFC 7518 §3.2). */
export type SharedAlgorithm = 'HS256' | 'HS384' | 'HS512';

/** A key that verifies tokens, with the one algorithm it does so with. */
export interface VerificationKey {
  readonly kid: string;
  readonly algorithm: PublicAlgorithm | SharedAlgorithm;
  readonly key: KeyObject;
}

// RFC 7518 §3.2: a key of the size of the hash or larger.
const SHORTEST: Readonly<Record<SharedAlgorithm, number>> = { HS256: 32, HS384: 48, HS512: 64 };

/** A public key as one that verifies tokens; known by its thumbprint unless another name is given. */
export function publicVerificationKey(key: PublicKey, kid: string = key.thumbprint): VerificationKey {
  return { kid, algorithm: key.algorithm, key: keyObjectOf(key) };
}

/** A shared secret in base64 or base64url. Fails with `actor_key_invalid` when it is shorter than the hash of its algorithm. */
export function sharedVerificationKey(kid: string, secret: Secret, algorithm: SharedAlgorithm = 'HS256'): VerificationKey {
  const bytes = Buffer.from(secret.reveal(), 'base64');
  if (bytes.length < SHORTEST[algorithm]) {
    throw new SallyportError('actor_key_invalid', { detail: `A shared key for ${algorithm} has at least ${SHORTEST[algorithm]} bytes` });
  }
  return { kid, algorithm, key: createSecretKey(bytes) };
}
