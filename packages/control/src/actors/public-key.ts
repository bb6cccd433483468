import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import { calculateJwkThumbprint } from 'jose';
import { LRUCache } from 'lru-cache';
import sshpk from 'sshpk';
import { hasRocaFingerprint } from './roca.js';

/** The algorithms that a public key may verify. Each key has exactly one; a token that names another does not concern it. */
export type PublicAlgorithm = 'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA';

/** A public key that has been looked at: strong enough, well formed, for signatures, and bound to one algorithm. */
export interface PublicKey {
  /** RFC 7638 thumbprint, SHA-256, base64url: equal for the same key in any form. */
  readonly thumbprint: string;
  readonly algorithm: PublicAlgorithm;
  /** Only the members that make up the key (RFC 7517). */
  readonly jwk: Readonly<Record<string, string>>;
}

const LONGEST = 16 * 1024;
const MOST_KEYS = 16;
const RSA_ALGORITHMS: readonly string[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const CURVE_ALGORITHMS: Readonly<Record<string, PublicAlgorithm>> = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512', Ed25519: 'EdDSA' };
const KEY_OPERATIONS = ['sign', 'verify', 'encrypt', 'decrypt', 'wrapKey', 'unwrapKey', 'deriveKey', 'deriveBits'];

/**
 * One public key: an OpenSSH line, PEM (SPKI, or PKCS#1 for RSA), or a JWK as text. Fails with `actor_key_invalid` for RSA below 2048 bits, other curves
 * than P-256, P-384, P-521 and Ed25519, keys of known weakness, keys for encryption, and everything that holds a private key.
 */
export async function parsePublicKey(text: string): Promise<PublicKey> {
  const keys = await parsePublicKeys(text);
  const [key] = keys;
  if (key === undefined || keys.length > 1) throw invalid(keys.length === 0 ? 'there is no key in it' : 'there is more than one key in it');
  return key;
}

/** All public keys of a file: one JWK, or any number of PEM blocks and OpenSSH lines. Lines that are empty or begin with `#` are skipped. */
export async function parsePublicKeys(text: string): Promise<readonly PublicKey[]> {
  if (text.length > LONGEST) throw invalid(`it is longer than ${LONGEST} characters`);
  if (text.trimStart().startsWith('{')) return [await publicKeyFromJwk(parseJson(text))];
  const blocks = text.match(PEM_BLOCK) ?? [];
  const lines = text
    .replace(PEM_BLOCK, '')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (blocks.length + lines.length > MOST_KEYS) throw invalid(`there are more than ${MOST_KEYS} keys in it`);
  return Promise.all([...blocks.map(fromPem), ...lines.map(fromSshLine)].map((key) => publicKeyFromObject(key)));
}

/** A public key from a JWK object (RFC 7517). `alg`, `use` and `key_ops` bind it if they are there. Fails with `actor_key_invalid`. */
export async function publicKeyFromJwk(input: unknown): Promise<PublicKey> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) throw invalid('it is not a JSON object');
  const jwk: Readonly<Record<string, unknown>> = { ...input };
  if ('d' in jwk || 'k' in jwk) throw invalid('it holds a private or shared key, which must not be sent anywhere; make a new one');
  if (jwk.use !== undefined && jwk.use !== 'sig') throw invalid('its `use` is not `sig`');
  if (jwk.key_ops !== undefined && !mayVerify(jwk.key_ops)) throw invalid('its `key_ops` do not allow to verify');
  const wanted = Object.fromEntries(['kty', 'crv', 'n', 'e', 'x', 'y'].flatMap((name) => (jwk[name] === undefined ? [] : [[name, jwk[name]]])));
  let key: KeyObject;
  try {
    key = createPublicKey({ key: wanted as JsonWebKey, format: 'jwk' });
  } catch (cause) {
    throw invalid('it is not a key', cause);
  }
  return publicKeyFromObject(key, jwk.alg);
}

/** The key as `node:crypto` wants it. The last ones used are kept, because reading one costs as much as verifying a signature. */
export function keyObjectOf({ thumbprint, jwk }: PublicKey): KeyObject {
  const known = keyObjects.get(thumbprint);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  keyObjects.set(thumbprint, key);
  return key;
}

const keyObjects = new LRUCache<string, KeyObject>({ max: 1000 });

const PEM_BLOCK = /-----BEGIN [A-Z0-9 ]+-----[\s\S]*?-----END [A-Z0-9 ]+-----/g;

async function publicKeyFromObject(key: KeyObject, declared?: unknown): Promise<PublicKey> {
  const jwk = asJwk(key);
  const algorithm = algorithmOf(jwk, declared);
  if (jwk.kty === 'RSA') requireStrongRsa(jwk);
  const members = Object.fromEntries(Object.entries(jwk).filter((member): member is [string, string] => typeof member[1] === 'string'));
  return { thumbprint: await calculateJwkThumbprint({ ...members, kty: jwk.kty ?? '' }), algorithm, jwk: members };
}

function asJwk(key: KeyObject): JsonWebKey {
  try {
    return key.export({ format: 'jwk' });
  } catch (cause) {
    // Kinds that JWK does not know, such as RSA-PSS with parameters of its own.
    throw invalid('it is of a kind that cannot be used', cause);
  }
}

function algorithmOf({ kty, crv }: JsonWebKey, declared: unknown): PublicAlgorithm {
  if (kty === 'RSA') {
    if (declared === undefined) return 'RS256';
    if (isRsaAlgorithm(declared)) return declared;
    throw invalid('its `alg` is none of an RSA signature');
  }
  const algorithm = crv === undefined ? undefined : CURVE_ALGORITHMS[crv];
  if (algorithm === undefined) throw invalid('it is neither RSA nor on one of the curves P-256, P-384, P-521 and Ed25519');
  // RFC 9864 spells EdDSA on this curve by the name of the curve.
  if (declared !== undefined && declared !== algorithm && !(algorithm === 'EdDSA' && declared === 'Ed25519'))
    throw invalid('its `alg` is not that of its curve');
  return algorithm;
}

function isRsaAlgorithm(name: unknown): name is PublicAlgorithm {
  return typeof name === 'string' && RSA_ALGORITHMS.includes(name);
}

function requireStrongRsa({ n = '', e = '' }: JsonWebKey): void {
  const modulus = integer(n);
  const exponent = integer(e);
  const size = modulus.toString(2).length;
  if (size < 2048 || size > 8192) throw invalid(`it has ${size} bits; RSA keys have 2048 to 8192`);
  if (exponent < 65537n || exponent % 2n === 0n || exponent > 0xffffffffn) throw invalid('its public exponent is not sound');
  if (hasRocaFingerprint(modulus)) throw invalid('it was made by a chip with the ROCA weakness (CVE-2017-15361), so its private key can be computed');
}

function integer(text: string): bigint {
  return BigInt(`0x0${Buffer.from(text, 'base64url').toString('hex')}`);
}

function fromPem(block: string): KeyObject {
  // Node would take the public half of a private key in silence, and somebody would leave it lying in a directory for public keys.
  if (/PRIVATE KEY/.test(block)) throw invalid('it is a private key, which must not be sent anywhere; make a new one');
  if (!/^-----BEGIN (?:RSA )?PUBLIC KEY-----/.test(block)) throw invalid('it is neither PEM of a public key nor an OpenSSH line nor a JWK');
  try {
    return createPublicKey(block);
  } catch (cause) {
    throw invalid('it is not a key', cause);
  }
}

function fromSshLine(line: string): KeyObject {
  if (!/^(?:ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]+={0,2}(?:\s.*)?$/.test(line)) {
    throw invalid('a line is no OpenSSH public key of a kind that can be used, or has options before it');
  }
  try {
    const key = sshpk.parseKey(line, 'ssh');
    if (key.type !== 'ed25519') return createPublicKey(key.toString('pkcs8'));
    // What sshpk writes as PKCS#8 for Ed25519 is not read by OpenSSL.
    const point = key.parts.find(({ name }) => name === 'A')?.data;
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: point?.toString('base64url') ?? '' }, format: 'jwk' });
  } catch (cause) {
    throw invalid('a line is not a key', cause);
  }
}

function mayVerify(operations: unknown): boolean {
  if (!Array.isArray(operations)) return false;
  return operations.includes('verify') && operations.every((operation) => typeof operation === 'string' && KEY_OPERATIONS.includes(operation));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid('it is not JSON', cause);
  }
}

function invalid(detail: string, cause?: unknown): SallyportError {
  return new SallyportError('actor_key_invalid', { detail: `The public key cannot be used: ${detail}`, cause });
}
