import { SallyportError, Secret } from '@sallyport/sdk';
import { SignJWT } from 'jose';
import type { Actor } from '../actors/actor.js';
import { newId } from '../database/ids.js';
import { covers } from '../permissions/algebra.js';
import type { Authority } from '../permissions/authority.js';
import { entriesOf, type Permission, permissionsOf } from '../permissions/permission.js';
import type { SystemKeyring } from './system-keyring.js';

/** What a token of this system is to say. */
interface TokenContent {
  readonly namespace: string;
  readonly external_id: string;
  readonly audiences: readonly string[];
  /** In seconds. */
  readonly lifetime: number;
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

/** Who asks for a narrower token, and what bounds it. */
export interface Grantor {
  readonly actor: Actor;
  /** What is left to the caller under its own token or session. */
  readonly authority: Authority;
  /** The services that its own token or session is for. */
  readonly audiences: readonly string[];
  /** Seconds since 1970: nothing that is made outlives it, and all of it says what it is limited to. Undefined for an actor with a token without limits. */
  readonly notAfter: number | undefined;
}

/** Makes tokens that this system signs (HS256, with the id of the key version as `kid`). */
export interface TokenMint {
  /** In the name of the system, for the domains that have checked who asks. */
  mint(content: TokenContent): Promise<MintedToken>;
  /**
   * A narrower token for the caller's own actor, as for an agent: down to single connections, methods and paths. Rejects with `grant_exceeds_granter`
   * when it would allow more than the caller's own token or session, or another service; what a limited token or a session makes does not outlive it,
   * and neither does what that makes.
   */
  narrow(caller: Grantor, content: Omit<TokenContent, 'namespace' | 'external_id'>): Promise<MintedToken>;
}

/** The mint with these keys. */
export function createTokenMint({ issuer, keyring, longestLife, clock = Date.now }: MintOptions): TokenMint {
  async function mint(content: TokenContent, latest = Number.POSITIVE_INFINITY): Promise<MintedToken> {
    const { namespace, external_id: subject, audiences, lifetime, permissions, singleUse = false } = content;
    if (!Number.isFinite(lifetime) || lifetime <= 0 || lifetime > longestLife) {
      throw new SallyportError('token_request_invalid', { detail: `A token lives up to ${longestLife} seconds` });
    }
    if (audiences.length === 0) throw new SallyportError('token_request_invalid', { detail: 'A token is for at least one audience' });
    const now = Math.floor(clock() / 1000);
    const expires = Math.min(now + Math.floor(lifetime), latest);
    const jti = newId('jti');
    const claims = { namespace, ...(permissions === undefined ? {} : { permissions }), ...(singleUse ? { nonce: newId('non') } : {}) };
    const key = keyring.current();
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: key.algorithm, kid: key.kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setSubject(subject)
      .setAudience([...audiences])
      .setJti(jti)
      .setIssuedAt(now)
      .setExpirationTime(expires)
      .sign(key.key);
    return { token: new Secret(token), jti, expires };
  }

  return {
    mint: (content) => mint(content),
    async narrow({ actor, authority, audiences, notAfter }, content) {
      const { namespace, external_id } = actor;
      // A token for one service must not become one for another.
      if (content.audiences.some((audience) => !audiences.includes(audience))) {
        throw new SallyportError('grant_exceeds_granter', {
          detail: 'A token is for no service that the token or the session it is asked with is not for',
        });
      }
      // Who is limited and asks for no limit asks for its own.
      const permissions = content.permissions ?? (notAfter === undefined ? undefined : entriesOf(authority.permissions));
      if (permissions !== undefined && !covers(authority.permissions, permissionsOf(permissions))) throw new SallyportError('grant_exceeds_granter');
      return mint({ ...content, namespace, external_id, permissions }, notAfter);
    },
  };
}
