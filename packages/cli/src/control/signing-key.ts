import { createPrivateKey, createSecretKey, type KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { errorCode } from '@sallyport/credentials';
import { SallyportError, type Secret } from '@sallyport/sdk';

/** The algorithms that requests are signed with: each key has exactly one. */
type SigningAlgorithm = 'RS256' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA' | 'HS256';

/** A key to sign with. */
export interface SigningKey {
  readonly algorithm: SigningAlgorithm;
  readonly key: KeyObject;
  /** The `kid` that the server knows it by: for a private key the RFC 7638 thumbprint of its public half. */
  readonly kid: string | undefined;
}

/** What reading a key may need of whoever calls. */
export interface KeyAsking {
  /** The passphrase of an encrypted key; asked again, with the next number from 0, after a wrong one. Null when there is none to be had. */
  passphrase(attempt: number): Promise<Secret | null>;
  warn(text: string): void;
}

const LARGEST = 64 * 1024;
const MOST_ATTEMPTS = 3;
const SHORTEST_SECRET = 32;

/**
 * Reads a private key: OpenSSH, PKCS#1, SEC1 or PKCS#8, encrypted or not; RSA of at least 2048 bits, P-256, P-384, P-521 or Ed25519. Errors:
 * `signing_key_invalid`, which never holds anything of the file.
 */
export async function readPrivateKey(path: string, asking: KeyAsking): Promise<SigningKey> {
  const { calculateJwkThumbprint } = await import('jose');
  const key = await unlock(path, await readKeyFile(path, asking), asking);
  const { kty, crv, n, e, x, y } = key.export({ format: 'jwk' });
  const members = Object.entries({ kty, crv, n, e, x, y }).filter((member): member is [string, string] => member[1] !== undefined);
  return { algorithm: algorithmOf(path, key), key, kid: await calculateJwkThumbprint(Object.fromEntries(members)) };
}

/** Reads a shared secret of at least 32 bytes in base64 or base64url, the form the server keeps it in. Errors: `signing_key_invalid`. */
export async function readSecretKey(path: string, keyId: string | undefined, asking: Pick<KeyAsking, 'warn'>): Promise<SigningKey> {
  const text = (await readKeyFile(path, asking)).trim();
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) throw invalid(path, 'is not a shared secret in base64', 'Write 32 bytes or more in base64 into it.');
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length < SHORTEST_SECRET) {
    throw invalid(path, `holds ${bytes.length} bytes; a shared secret has at least ${SHORTEST_SECRET}`, 'Make one with: openssl rand -base64 32');
  }
  return { algorithm: 'HS256', key: createSecretKey(bytes), kid: keyId };
}

async function readKeyFile(path: string, asking: Pick<KeyAsking, 'warn'>): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { mode } = await file.stat();
      if ((mode & 0o077) !== 0) asking.warn(`Others can read the key ${path}. Run: chmod 600 ${path}`);
      const buffer = Buffer.alloc(LARGEST + 1);
      let length = 0;
      // A pipe hands out what it has, which may be less than all.
      for (let count = -1; count !== 0 && length < buffer.length; length += count) {
        count = (await file.read(buffer, length, buffer.length - length)).bytesRead;
      }
      if (length > LARGEST) throw invalid(path, 'is larger than 64 KiB', 'Name the file of a key.');
      return buffer.toString('utf8', 0, length);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof SallyportError) throw error;
    throw invalid(path, `cannot be read (${errorCode(error)})`, 'Check the path and the permissions of the file.', error);
  }
}

async function unlock(path: string, text: string, asking: KeyAsking): Promise<KeyObject> {
  const block = /-----BEGIN ((?:[A-Z]+ )*PRIVATE KEY)-----[\s\S]*?-----END \1-----/.exec(text)?.[0];
  if (block === undefined) throw noPrivateKey(path, text);
  const decode = block.includes('BEGIN OPENSSH') ? await openSshDecoder() : decodePem;
  if (!isEncrypted(block)) return decodeOrRefuse(path, () => decode(block));
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    const secret = await asking.passphrase(attempt);
    if (secret === null) {
      if (attempt > 0) break;
      throw invalid(path, 'is encrypted, and there is no terminal to ask for its passphrase', 'Put the passphrase into SALLYPORT_KEY_PASSPHRASE.');
    }
    try {
      return decode(block, secret.reveal());
    } catch (error) {
      // A kind that cannot be used stays one with any passphrase.
      if (error instanceof UnusableKind) throw invalid(path, error.message, KINDS);
    }
  }
  throw invalid(path, 'cannot be decrypted: the passphrase is wrong', 'Give its passphrase; SALLYPORT_KEY_PASSPHRASE may hold another one.');
}

function decodeOrRefuse(path: string, decode: () => KeyObject): KeyObject {
  try {
    return decode();
  } catch (error) {
    if (error instanceof UnusableKind) throw invalid(path, error.message, KINDS);
    throw invalid(path, 'is not a private key that can be read', KINDS, error);
  }
}

type Decode = (block: string, passphrase?: string) => KeyObject;

const decodePem: Decode = (block, passphrase) => createPrivateKey({ key: block, format: 'pem', ...(passphrase !== undefined && { passphrase }) });

/** OpenSSL does not read the format of OpenSSH. Its key derivation takes half a second without a pause, which nobody else waits for here. */
async function openSshDecoder(): Promise<Decode> {
  const { default: sshpk } = await import('sshpk');
  return (block, passphrase) => {
    const key = sshpk.parsePrivateKey(block, 'ssh-private', { ...(passphrase !== undefined && { passphrase }) });
    if (key.type === 'rsa' || key.type === 'ecdsa') return createPrivateKey(key.toString('pkcs8'));
    if (key.type !== 'ed25519') throw new UnusableKind(`is of the kind ${JSON.stringify(key.type)}, which requests cannot be signed with`);
    // What sshpk writes as PKCS#8 for Ed25519 is not read by OpenSSL.
    const part = (name: string): string => key.parts.find((one) => one.name === name)?.data.toString('base64url') ?? '';
    return createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d: part('k'), x: part('A') }, format: 'jwk' });
  };
}

class UnusableKind extends Error {}

function isEncrypted(block: string): boolean {
  if (!block.includes('BEGIN OPENSSH')) return /BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(block);
  // PROTOCOL.key of OpenSSH: a magic text, then the name of the cipher behind its length.
  const bytes = Buffer.from(block.replace(/-----[^-]+-----/g, ''), 'base64');
  const at = 'openssh-key-v1\0'.length;
  if (bytes.length < at + 4) return false;
  const cipher = bytes.toString('latin1', at + 4, at + 4 + Math.min(bytes.readUInt32BE(at), 64));
  return cipher !== 'none';
}

function algorithmOf(path: string, key: KeyObject): SigningAlgorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key;
  if (type === 'ed25519') return 'EdDSA';
  if (type === 'rsa') {
    if ((details.modulusLength ?? 0) >= 2048) return 'RS256';
    throw invalid(path, `is an RSA key of ${details.modulusLength} bits; 2048 is the least`, KINDS);
  }
  const curves: Readonly<Record<string, SigningAlgorithm>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };
  const algorithm = type === 'ec' ? curves[details.namedCurve ?? ''] : undefined;
  if (algorithm !== undefined) return algorithm;
  throw invalid(path, 'is of a kind that requests cannot be signed with', KINDS);
}

const KINDS = 'Keys are RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519; ssh-keygen -t ed25519 makes one.';

function noPrivateKey(path: string, text: string): SallyportError {
  if (/^(?:ssh|ecdsa|sk)-|BEGIN (?:RSA |EC )?PUBLIC KEY|BEGIN SSH2 PUBLIC KEY/m.test(text)) {
    return invalid(path, 'is a public key; requests are signed with the private one', `Name the private key, perhaps ${path.replace(/\.pub$/, '')}.`);
  }
  return invalid(path, 'is not a private key', 'Name a file with a key of OpenSSH or in PEM.');
}

function invalid(path: string, clause: string, hint: string, cause?: unknown): SallyportError {
  return new SallyportError('signing_key_invalid', { detail: `The key ${path} ${clause}.`, hint, cause });
}
