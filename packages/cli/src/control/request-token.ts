import { randomUUID } from 'node:crypto';
import { Secret } from '@sallyport/sdk';
import { SignJWT } from 'jose';
import type { Identity } from './client-settings.js';
import type { Service } from './services.js';
import type { SigningKey } from './signing-key.js';

/** What a token is to say besides who signs it. */
interface TokenContent {
  readonly audiences: readonly Service[];
  /** In seconds. */
  readonly lifetime: number;
  /** Whether it can be used only once. */
  readonly singleUse?: boolean;
  /** What the token limits itself to; left out, it may do what its actor may. */
  readonly permissions?: unknown;
}

/** Signs tokens in the name of an actor. */
export interface RequestSigner {
  /** A new token. */
  sign(content: TokenContent): Promise<Secret>;
  /** A token for requests to the services. It is used again until it has less than a minute to live. */
  tokenFor(...audiences: readonly Service[]): Promise<Secret>;
}

/** What requests are signed with lives this long, in seconds: who sees one cannot use it for long. */
const LIFETIME = 300;
/** More than the clocks of both sides may differ. */
const RESERVE = 60;

/** A signer for this actor with this key. `clock` in milliseconds since 1970. */
export function createRequestSigner({
  identity,
  key,
  clock = Date.now,
}: {
  identity: Pick<Identity, 'actor' | 'namespace' | 'issuer' | 'keyId'>;
  key: SigningKey;
  clock?: () => number;
}): RequestSigner {
  const kid = identity.keyId ?? key.kid;
  const kept = new Map<string, { readonly token: Promise<Secret>; readonly from: number }>();
  const seconds = (): number => Math.floor(clock() / 1000);

  async function sign({ audiences, lifetime, singleUse = false, permissions }: TokenContent): Promise<Secret> {
    const now = seconds();
    const claims = {
      namespace: identity.namespace,
      ...(permissions !== undefined && { permissions }),
      ...(singleUse && { nonce: `non_${randomUUID()}` }),
    };
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: key.algorithm, typ: 'JWT', ...(kid !== undefined && { kid }) })
      .setIssuer(identity.issuer)
      .setSubject(identity.actor)
      .setAudience([...audiences])
      .setJti(`jti_${randomUUID()}`)
      .setIssuedAt(now)
      .setExpirationTime(now + lifetime)
      .sign(key.key);
    return new Secret(token);
  }

  return {
    sign,
    tokenFor(...services) {
      const now = seconds();
      const audiences = [...new Set(services)].sort();
      const last = kept.get(audiences.join());
      // A clock that was set back would make the kept one a token from the future.
      if (last !== undefined && now >= last.from && now < last.from + LIFETIME - RESERVE) return last.token;
      const token = sign({ audiences, lifetime: LIFETIME });
      kept.set(audiences.join(), { token, from: now });
      return token;
    },
  };
}
