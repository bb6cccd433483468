import { SallyportError, Secret } from '@sallyport/sdk';
import { SignJWT } from 'jose';
import type { Actor } from '../actors/actor.js';
import { newId } from '../database/ids.js';
import type { Permission } from '../permissions/permission.js';
import type { SystemKeyring } from './system-keyring.js';

/** What a token of this system is to say. */
interface TokenContent {
  /** Good for this very actor, not for another one of its name, and until the tokens of the actor are ended. */
  readonly actor: Pick<Actor, 'id' | 'namespace' | 'external_id' | 'token_generation'>;
  /** The id of the session that it is made in, and ends with. */
  readonly session?: string | undefined;
  readonly audiences: readonly string[];
  /** In seconds. */
  readonly lifetime: number;
  /** Seconds since 1970: it ends then at the latest, however long its lifetime is. */
  readonly notAfter?: number | undefined;
  /** What the token limits itself to; left out, it may do what its actor may. An empty list is a token that may do nothing. */
  readonly permissions?: readonly Permission[] | undefined;
  /** Whether it can be used only once. */
  readonly singleUse?: boolean | undefined;
}

/** A token and when it ends, in seconds since 1970. */
interface MintedToken {
  readonly token: Secret;
  readonly jti: string;
  readonly expires: number;
}

export interface MintOptions {
  /** The `iss` of this system. */
  readonly issuer: string;
  readonly keyring: SystemKeyring;
  /** The longest life, in seconds; the same that verification accepts. */
  readonly longestLife: number;
  readonly clock?: () => number;
}

/**
 * Makes a token that this system signs (HS256, with the id of the key version as `kid`), for those who have checked who asks, and who write it down.
 * Rejects with `token_request_invalid`.
 */
export type MintToken = (content: TokenContent) => Promise<MintedToken>;

/** The mint with these keys. */
export function createTokenMint({ issuer, keyring, longestLife, clock = Date.now }: MintOptions): MintToken {
  return async ({ actor, session, audiences, lifetime, notAfter = Number.POSITIVE_INFINITY, permissions, singleUse = false }) => {
    if (!Number.isFinite(lifetime) || lifetime <= 0 || lifetime > longestLife) {
      throw new SallyportError('token_request_invalid', { detail: `A token lives up to ${longestLife} seconds` });
    }
    if (audiences.length === 0) throw new SallyportError('token_request_invalid', { detail: 'A token is for at least one audience' });
    const now = Math.floor(clock() / 1000);
    const expires = Math.min(now + Math.floor(lifetime), notAfter);
    const jti = newId('jti');
    const claims = {
      ...{ namespace: actor.namespace, actor_id: actor.id, generation: actor.token_generation },
      ...(session === undefined ? {} : { session_id: session }),
      ...(permissions === undefined ? {} : { permissions }),
      ...(singleUse ? { nonce: newId('non') } : {}),
    };
    const key = keyring.current();
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: key.algorithm, kid: key.kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setSubject(actor.external_id)
      .setAudience([...audiences])
      .setJti(jti)
      .setIssuedAt(now)
      .setExpirationTime(expires)
      .sign(key.key);
    return { token: new Secret(token), jti, expires };
  };
}
