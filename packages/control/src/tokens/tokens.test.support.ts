import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { publicKeyFromJwk } from '../actors/public-key.js';
import { publicVerificationKey, type VerificationKey } from './verification-key.js';

/** Noon of some day, in milliseconds; in seconds it is a whole number. */
export const NOON = 1_760_000_000_000;

/** The same in seconds. */
export const NOW = NOON / 1000;

/** What an agent may be given: to read below one path through one connection. */
export const agentPermission = {
  namespace: 'root.a',
  resources: ['connections'],
  verbs: ['proxy'],
  resource_ids: ['cxn_1'],
  methods: ['GET'],
  paths: ['/repos/**'],
};

/** A pair of keys to sign tokens with. */
export interface Signer {
  readonly privateKey: KeyObject;
  readonly publicJwk: Record<string, unknown>;
  readonly algorithm: string;
}

/** A new pair of keys of a kind. */
export function newSigner(kind: 'ed25519' | 'rsa' | 'P-256' | 'P-384' | 'P-521'): Signer {
  const { privateKey, publicKey } = pair(kind);
  const algorithm = { ed25519: 'EdDSA', rsa: 'RS256', 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' }[kind];
  return {
    privateKey: createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    publicJwk: { ...publicKey.export({ format: 'jwk' }) },
    algorithm,
  };
}

function pair(kind: string): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519');
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return generateKeyPairSync('ec', { namedCurve: kind });
}

/** The key that verifies what the signer signs. */
export async function verifierOf(signer: Signer, kid?: string): Promise<VerificationKey> {
  return publicVerificationKey(await publicKeyFromJwk(signer.publicJwk), kid);
}

/** A token as any program would make it. A claim that is given as undefined is left out. */
export function sign(signer: Signer, claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
  const all = { iss: 'host', sub: 'ada', aud: 'api', iat: NOW, exp: NOW + 600, ...claims };
  const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new SignJWT(payload).setProtectedHeader({ alg: signer.algorithm, ...header }).sign(signer.privateKey);
}

/** A token whose signature does not matter: made of any header and payload, and these bytes. */
export function forge(header: unknown, payload: unknown, signature = 'AAAA'): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(payload)}.${signature}`;
}
