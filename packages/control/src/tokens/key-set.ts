import { SallyportError, Secret } from '@sallyport/sdk';
import { publicKeyFromJwk } from '../actors/public-key.js';
import { publicVerificationKey, type SharedAlgorithm, sharedVerificationKey, type VerificationKey } from './verification-key.js';

const MOST_KEYS = 64;
const SHARED: readonly string[] = ['HS256', 'HS384', 'HS512'];

/** How a set is read: `strict` fails on any key that cannot be used, otherwise such keys are left out, as those of other uses have to be. */
export interface KeySetOptions {
  readonly strict: boolean;
  /** Whether shared secrets may be in it. Never in a set that was fetched. */
  readonly shared: boolean;
}

/**
 * The keys of a JWK set (RFC 7517 §5) that verify signatures. Refused as a whole, with `actor_key_invalid`, when two keys have the same `kid`, when
 * public keys and shared secrets are mixed, or when there are too many: in such a set it is not clear which key a token means.
 */
export async function parseKeySet(input: unknown, options: KeySetOptions): Promise<readonly VerificationKey[]> {
  const entries = typeof input === 'object' && input !== null && 'keys' in input ? input.keys : undefined;
  if (!Array.isArray(entries) || entries.length > MOST_KEYS) throw invalid(`a key set has \`keys\`, a list of at most ${MOST_KEYS}`);
  const keys: VerificationKey[] = [];
  for (const entry of entries as readonly unknown[]) {
    try {
      keys.push(await parseKey(entry, options));
    } catch (error) {
      if (options.strict) throw error;
    }
  }
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) throw invalid('two keys of the set have the same `kid`');
  if (new Set(keys.map(({ algorithm }) => algorithm.startsWith('HS'))).size > 1) throw invalid('the set mixes public keys and shared secrets');
  return keys;
}

async function parseKey(entry: unknown, { shared }: KeySetOptions): Promise<VerificationKey> {
  const jwk: Readonly<Record<string, unknown>> = typeof entry === 'object' && entry !== null ? { ...entry } : {};
  const kid = typeof jwk.kid === 'string' && jwk.kid.length <= 256 ? jwk.kid : undefined;
  if (jwk.kty !== 'oct') return publicVerificationKey(await publicKeyFromJwk(entry), kid);
  if (!shared || kid === undefined || typeof jwk.k !== 'string' || (jwk.use ?? 'sig') !== 'sig') throw invalid('a shared secret cannot be used here');
  const algorithm = jwk.alg ?? 'HS256';
  if (!isShared(algorithm)) throw invalid('a shared secret is for HS256, HS384 or HS512');
  return sharedVerificationKey(kid, new Secret(jwk.k), algorithm);
}

function isShared(name: unknown): name is SharedAlgorithm {
  return typeof name === 'string' && SHARED.includes(name);
}

function invalid(detail: string): SallyportError {
  return new SallyportError('actor_key_invalid', { detail });
}
