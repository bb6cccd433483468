import { createHash, createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { contextConstructed, elements, objectIdentifier } from './der.js';

const SUBJECT_KEY_IDENTIFIER = objectIdentifier('2.5.29.14');

/** The key identifier of RFC 5280 §4.2.1.2 method 1: SHA-1 over the bits of the public key. It names a key and proves nothing. */
export function keyIdentifier(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const [{ content }] = elements(publicKey.export({ type: 'spki', format: 'der' }));
  const [, bits] = elements(content);
  return createHash('sha1').update(bits.content.subarray(1)).digest();
}

/** 16 random octets that are a positive DER integer as they stand: the sign bit is clear and the first octet is not zero (RFC 5280 §4.1.2.2). */
export function randomSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x3f) | 0x40;
  return serial;
}

/** What a leaf repeats from the certificate of its issuer, byte for byte: the subject, and the key identifier if there is one (RFC 5280 §4.1). */
export function issuerFields(certificate: Buffer): { name: Buffer; keyIdentifier: Buffer | undefined } {
  const [tbs] = elements(elements(certificate)[0].content);
  // Version 3: [0] version, serial, signature, issuer, validity, subject, key, and among the optional rest [3] the extensions.
  const fields = elements(tbs.content);
  const extensions = fields.find(({ tag }) => tag === contextConstructed(3));
  const found = extensions === undefined ? undefined : elements(elements(extensions.content)[0].content).find(isSubjectKeyIdentifier);
  const value = found === undefined ? undefined : elements(found.content).at(-1);
  return { name: fields[5].raw, keyIdentifier: value === undefined ? undefined : elements(value.content)[0].content };
}

function isSubjectKeyIdentifier({ content }: { content: Buffer }): boolean {
  return elements(content)[0].raw.equals(SUBJECT_KEY_IDENTIFIER);
}
