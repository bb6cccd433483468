import { createHash, type KeyObject } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import { compactVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import type { VerificationKey } from './verification-key.js';

/** No honest token is longer. What is longer is refused before anything of it is decoded. */
const longestToken = 16 * 1024;

const ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'HS256',
  'HS384',
  'HS512',
];
// Members that would change what is verified, or let the token bring its own key.
const REFUSED = ['crit', 'b64', 'zip', 'jwk', 'jku', 'x5c', 'x5u'];
const MOST_TRIES = 16;
const MOST_VERIFIED = 10_000;

/**
 * The key that a token was found to be signed with, by the digest of the token. A signature that held under a key holds for ever, so the same token
 * costs a digest the next time. Nothing else is remembered: which keys are good, and whether the token still counts, is asked each time.
 */
const verified = new LRUCache<string, KeyObject>({ max: MOST_VERIFIED });

/** A token taken apart. Nothing in it may be believed before `verifySignature` has answered. */
export interface UnverifiedToken {
  readonly text: string;
  readonly algorithm: string;
  readonly kid: string | undefined;
  readonly payload: Uint8Array;
}

/**
 * Takes a token in the compact form (RFC 7515 §7.1) apart. Fails with `token_invalid` when it is too long, has other parts than three, is not in
 * strict base64url, names no algorithm of ours (`none` is not), or has header members that it may not have, `crit` among them.
 */
export function readCompact(text: string): UnverifiedToken {
  if (text.length > longestToken) throw invalidToken(`it is longer than ${longestToken} characters`);
  const parts = text.split('.', 4);
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3 || header === '' || signature === '' || !parts.every(isStrictBase64url))
    throw invalidToken('it is not a signed token in the compact form');
  const members = parseObject(Buffer.from(header, 'base64url'));
  if (members === null) throw invalidToken('its header is not a JSON object');
  const { alg, kid, typ } = members;
  const algorithm = alg === 'Ed25519' ? 'EdDSA' : alg;
  if (typeof algorithm !== 'string' || !ALGORITHMS.includes(algorithm)) throw invalidToken('its algorithm is not accepted');
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > 256)) throw invalidToken('its `kid` is not a short text');
  if (typ !== undefined && (typeof typ !== 'string' || !/^(?:application\/)?(?:at\+)?jwt$/i.test(typ)))
    throw invalidToken('its `typ` is not that of a JWT');
  const refused = REFUSED.find((name) => Object.hasOwn(members, name));
  if (refused !== undefined) throw invalidToken(`its header may not have \`${refused}\``);
  return { text, algorithm, kid, payload: Buffer.from(payload, 'base64url') };
}

/**
 * Answers the key that the token was signed with. Only keys of exactly the token's algorithm, and of its `kid` if it names one, are tried; with none of
 * them valid it fails with `token_invalid`, which does not say how far it came.
 */
export async function verifySignature(token: UnverifiedToken, keys: readonly VerificationKey[]): Promise<VerificationKey> {
  const fitting = keys.filter(({ kid, algorithm }) => algorithm === token.algorithm && (token.kid === undefined || token.kid === kid));
  const digest = createHash('sha256').update(token.text).digest('base64');
  const known = verified.get(digest);
  for (const candidate of fitting.slice(0, MOST_TRIES)) {
    if (candidate.key === known) return candidate;
    try {
      // jose is told the algorithms too, so that the check does not hang on the filter above alone.
      const algorithms = candidate.algorithm === 'EdDSA' ? ['EdDSA', 'Ed25519'] : [candidate.algorithm];
      await compactVerify(token.text, candidate.key, { algorithms });
      verified.set(digest, candidate.key);
      return candidate;
    } catch {
      // The next one may be it.
    }
  }
  throw invalidToken('no key that is known for it has signed it');
}

/** A JSON object out of UTF-8 bytes, or null. */
export function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

/** `token_invalid` with what is wrong, as a clause. The clause reaches the sender, so it never depends on secret material. */
export function invalidToken(clause: string): SallyportError {
  return new SallyportError('token_invalid', { detail: `The token is not accepted: ${clause}` });
}

// Lenient decoders skip foreign characters and unused bits, which makes many spellings of one token.
function isStrictBase64url(part: string): boolean {
  return /^[A-Za-z0-9_-]*$/.test(part) && Buffer.from(part, 'base64url').toString('base64url') === part;
}
