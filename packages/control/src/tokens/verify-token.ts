import { SallyportError } from '@sallyport/sdk';
import type { Permissions } from '../permissions/permission.js';
import { isWithin } from '../permissions/read-matcher.js';
import { type Claims, checkClaims, readClaims } from './claims.js';
import { invalidToken, readCompact, verifySignature } from './compact.js';
import type { Issuer } from './issuers.js';
import type { VerificationKey } from './verification-key.js';

/** A token that holds: its signature, its times, its audience, and that it was not used before if it may be used once. */
export interface VerifiedToken {
  readonly namespace: string;
  readonly external_id: string;
  readonly issuer: string;
  readonly kid: string;
  readonly jti: string | undefined;
  /** The services that it is for. */
  readonly audiences: readonly string[];
  /** Seconds since 1970. */
  readonly expires: number;
  /** Who vouches for it: this system, an issuer of the list, or the actor itself. */
  readonly signer: 'system' | 'issuer' | 'actor';
  /** Whether it counts once, and this was that time. */
  readonly single_use: boolean;
  /** What the token limits itself to; undefined when it does not. */
  readonly restriction: Permissions | undefined;
  /** A description of the actor and the most it may hold; only from an issuer that may define actors. */
  readonly definition: { readonly actor: Readonly<Record<string, unknown>>; readonly within: Permissions } | undefined;
  /** What it is bound to; there when this system has made it, and only then. */
  readonly system: SystemBinding | undefined;
}

/** What a token that this system has made is bound to. It does not hold when one of them is gone. */
interface SystemBinding {
  /** The actor, whoever has its name now. */
  readonly actor_id: string;
  /** Which of the generations of tokens of the actor it belongs to. */
  readonly generation: number;
  /** The session that it was made in. */
  readonly session_id: string | undefined;
}

/** Remembers nonces until they expire. Answers false, and remembers nothing, when the nonce is known already; of two at once one gets true. */
export type UseNonce = (use: { readonly issuer: string; readonly nonce: string; readonly expires: number }, signal?: AbortSignal) => Promise<boolean>;

/** What verification is done with. */
export interface TokenVerifierOptions {
  /** By `iss`. Nothing else is accepted, except what an actor signs for itself, with its own external id as `iss` and `sub`. */
  readonly issuers: ReadonlyMap<string, Issuer>;
  /** The keys of an actor that are neither expired nor revoked; none when there is no such actor. */
  readonly actorKeys: (
    actor: { readonly namespace: string; readonly external_id: string },
    signal?: AbortSignal,
  ) => Promise<readonly VerificationKey[]>;
  readonly useNonce: UseNonce;
  /** The longest life of a token that an actor signs for itself, in seconds. One hour when left out. */
  readonly longestActorLife?: number;
  /** How far clocks may differ, in seconds, at most 300. 30 when left out. */
  readonly leeway?: number;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

/** Verifies a token for an audience. Every failure is an error; no token is ever taken for none. */
export type VerifyToken = (token: string, audience: string, signal?: AbortSignal) => Promise<VerifiedToken>;

const MOST_LEEWAY = 300;

/**
 * Makes the one function that verifies tokens. The issuer decides which keys come into question, each key has one algorithm, and there is no key to
 * fall back to. Failures of the token are 401 (`token_invalid`, `token_expired`, `token_not_yet_valid`, `token_lives_too_long`, `token_audience_wrong`,
 * `token_replayed`); that its keys or the nonces cannot be looked up is a failure of ours.
 */
export function createTokenVerifier(options: TokenVerifierOptions): VerifyToken {
  const { issuers, actorKeys, useNonce, longestActorLife = 3600, leeway = 30, clock = Date.now } = options;
  if (!(leeway >= 0 && leeway <= MOST_LEEWAY)) throw new RangeError(`The leeway is 0 to ${MOST_LEEWAY} seconds`);

  function issuerOf(claims: Claims): Issuer & { readonly signer: VerifiedToken['signer'] } {
    const issuer = issuers.get(claims.issuer);
    if (issuer !== undefined) return { ...issuer, signer: issuer.system === true ? 'system' : 'issuer' };
    if (claims.issuer !== claims.subject) throw invalidToken('its issuer is not accepted');
    const actor = { namespace: claims.namespace, external_id: claims.subject };
    return { findKeys: (_, signal) => actorKeys(actor, signal), namespace: claims.namespace, longestLife: longestActorLife, signer: 'actor' };
  }

  /** Answers whether the token counts once; rejects when it has counted. */
  async function refuseReplay(claims: Claims, issuer: Issuer, scope: string, signal: AbortSignal | undefined): Promise<boolean> {
    if (issuer.singleUse === true && claims.id === undefined) throw invalidToken('its claim `jti` is missing, and it can be used only once');
    const once = [...(claims.nonce === undefined ? [] : [`nonce ${claims.nonce}`]), ...(issuer.singleUse === true ? [`jti ${claims.id}`] : [])];
    for (const nonce of once) {
      // A token is accepted until its expiry and the leeway are over, so that long its nonce has to be known.
      const fresh = await useNonce({ issuer: scope, nonce, expires: Math.ceil(claims.expires + leeway) + 1 }, signal);
      if (!fresh) throw new SallyportError('token_replayed');
    }
    return once.length > 0;
  }

  return async (text, audience, signal) => {
    const token = readCompact(text);
    const claims = readClaims(token.payload);
    const issuer = issuerOf(claims);
    const key = await verifySignature(token, await issuer.findKeys(token, signal));
    checkClaims(claims, { now: clock() / 1000, audience, leeway, longestLife: issuer.longestLife });
    if (!isWithin(issuer.namespace, claims.namespace)) throw invalidToken('its issuer does not speak for this namespace');
    const scope = issuer.signer === 'actor' ? `actor ${claims.namespace} ${claims.subject}` : `issuer ${claims.issuer}`;
    const singleUse = await refuseReplay(claims, issuer, scope, signal);
    const within = issuer.definesActorsWithin;
    return {
      namespace: claims.namespace,
      external_id: claims.subject,
      issuer: claims.issuer,
      kid: key.kid,
      jti: claims.id,
      audiences: claims.audiences,
      expires: claims.expires,
      signer: issuer.signer,
      single_use: singleUse,
      restriction: claims.restriction,
      // What an actor says about itself in its own token changes nothing.
      definition: claims.actor === undefined || within === undefined ? undefined : { actor: claims.actor, within },
      system: issuer.signer === 'system' ? bindingOf(claims) : undefined,
    };
  };
}

function bindingOf({ actorId, generation, sessionId }: Claims): SystemBinding {
  if (typeof actorId !== 'string' || typeof generation !== 'number') throw invalidToken('it does not say which actor it was made for');
  if (sessionId !== undefined && typeof sessionId !== 'string') throw invalidToken('its claim `session_id` is not of its form');
  return { actor_id: actorId, generation, session_id: sessionId };
}
