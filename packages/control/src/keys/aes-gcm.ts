import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';

/** Bytes of every data key: AES-256. */
export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A new random data key. It lives in a `KeyObject`, outside the JavaScript heap, and prints as `KeyObject` wherever it is printed. */
export function randomKey(): KeyObject {
  const bytes = randomBytes(KEY_BYTES);
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** nonce ‖ ciphertext ‖ tag, with a fresh random nonce of 96 bit (NIST SP 800-38D §8.2.2); the caller counts messages per key. */
export function sealBytes(key: KeyObject, plaintext: Uint8Array, associated: Uint8Array): Buffer {
  return sealWithNonce(key, randomBytes(NONCE_BYTES), plaintext, associated);
}

/** `sealBytes` with a given nonce; for vectors only: a nonce that is used twice gives the key away. */
export function sealWithNonce(key: KeyObject, nonce: Uint8Array, plaintext: Uint8Array, associated: Uint8Array): Buffer {
  if (key.symmetricKeySize !== KEY_BYTES || nonce.length !== NONCE_BYTES)
    throw new TypeError('AES-256-GCM needs a key of 32 and a nonce of 12 bytes');
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The plaintext of what `sealBytes` made with this key and this associated data; `ciphertext_invalid` for everything else. */
export function openBytes(key: KeyObject, sealed: Uint8Array, associated: Uint8Array): Buffer {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw ciphertextInvalid('It is shorter than a nonce and a tag.');
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plaintext = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
  try {
    decipher.final();
    return plaintext;
  } catch {
    // What an unauthenticated ciphertext decrypts to is nobody's business.
    plaintext.fill(0);
    throw ciphertextInvalid('It was changed, or belongs to another row, column, namespace or set of hosts, or to another key.');
  }
}

/** HMAC-SHA-256 (RFC 2104). */
export function hmacSha256(key: KeyObject, message: Uint8Array | string): Buffer {
  return createHmac('sha256', key).update(message).digest();
}

/** The refusal of a ciphertext. The detail never says anything about the plaintext. */
export function ciphertextInvalid(detail: string): SallyportError {
  return new SallyportError('ciphertext_invalid', { detail: `An encrypted value cannot be opened. ${detail}` });
}
