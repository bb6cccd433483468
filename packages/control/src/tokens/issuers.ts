import type { Permissions } from '../permissions/permission.js';
import type { SystemKeyring } from './system-keyring.js';
import type { VerificationKey } from './verification-key.js';

/** Which keys come into question for a token. Fails with `token_keys_unavailable` when that cannot be found out now. */
export type FindKeys = (
  token: { readonly kid: string | undefined; readonly algorithm: string },
  signal?: AbortSignal,
) => Promise<readonly VerificationKey[]>;

/** One entry of the list of issuers that are accepted. */
export interface Issuer {
  readonly findKeys: FindKeys;
  /** It speaks only for actors at or below this namespace. */
  readonly namespace: string;
  /** The longest life of its tokens, in seconds. */
  readonly longestLife: number;
  /** When there, tokens of it may bring a description of their actor, which is then made or changed; never with more permissions than these. */
  readonly definesActorsWithin?: Permissions;
  /** Its tokens are used once: a second one with the same `jti` (which then has to be there) is refused. Tokens with a `nonce` always are. */
  readonly singleUse?: boolean;
  /** Whether it is this system itself. */
  readonly system?: boolean;
}

/** Finds among keys that do not change. Without a `kid`, a token fits only when there is no choice. */
export function amongKeys(keys: readonly VerificationKey[]): FindKeys {
  return async ({ kid }) => (kid === undefined ? (keys.length === 1 ? keys : []) : keys.filter((key) => key.kid === kid));
}

/** This system as an issuer: its tokens name the version of the key that signed them. */
export function systemIssuer(keyring: SystemKeyring, longestLife: number): Issuer {
  return {
    findKeys: async ({ kid }) => {
      const key = kid === undefined ? undefined : keyring.find(kid);
      return key === undefined ? [] : [key];
    },
    namespace: 'root',
    longestLife,
    system: true,
  };
}
