import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { isNamespacePath } from '../namespaces/namespace-path.js';
import { type Permissions, parsePermissions, permissionsOf } from '../permissions/permission.js';
import { invalidToken, parseObject } from './compact.js';

const text = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[^\p{Cc}]*$/u)
    // Half of a surrogate pair would be written as another character, which makes two names of one.
    .refine((value) => value.isWellFormed());
const time = z
  .number()
  .nonnegative()
  .max(Number.MAX_SAFE_INTEGER / 1000);

const claimsSchema = z.object({
  iss: text(512),
  sub: text(256),
  aud: z.union([text(256), z.array(text(256)).min(1).max(16)]),
  exp: time,
  nbf: time.optional(),
  iat: time.optional(),
  jti: text(128).optional(),
  nonce: text(128).optional(),
  namespace: text(1024).refine(isNamespacePath).default('root'),
  actor: z.record(z.string(), z.unknown()).nullish(),
  permissions: z.unknown().optional(),
  actor_id: z.unknown().optional(),
  generation: z.unknown().optional(),
  session_id: z.unknown().optional(),
});

/** What a token says. Nobody has said it before the signature is verified. */
export interface Claims {
  readonly issuer: string;
  readonly subject: string;
  readonly namespace: string;
  readonly audiences: readonly string[];
  /** Seconds since 1970, as the other times. */
  readonly expires: number;
  readonly notBefore: number | undefined;
  readonly issued: number | undefined;
  readonly id: string | undefined;
  readonly nonce: string | undefined;
  /** What the token limits itself to. Undefined when it has no such claim; an empty list of permissions is «nothing». */
  readonly restriction: Permissions | undefined;
  /** The description of the actor that came along. Only an issuer that may define actors is listened to. */
  readonly actor: Readonly<Record<string, unknown>> | undefined;
  /** What tokens of this system say besides. Of others it may be anything, and means nothing. */
  readonly actorId: unknown;
  readonly generation: unknown;
  readonly sessionId: unknown;
}

/** Reads the payload. Fails with `token_invalid` when a claim is missing that has to be there, or is not of its form. */
export function readClaims(payload: Uint8Array): Claims {
  const parsed = claimsSchema.safeParse(parseObject(payload));
  if (!parsed.success) throw invalidToken(`its claim \`${parsed.error.issues[0]?.path[0]?.toString() ?? 'set'}\` is missing or not of its form`);
  const { data } = parsed;
  return {
    issuer: data.iss,
    subject: data.sub,
    namespace: data.namespace,
    audiences: typeof data.aud === 'string' ? [data.aud] : data.aud,
    expires: data.exp,
    notBefore: data.nbf,
    issued: data.iat,
    id: data.jti,
    nonce: data.nonce,
    // Only a claim that is not there is no limit: `null` is what a program writes whose list is empty.
    restriction: data.permissions === undefined ? undefined : readRestriction(data.permissions),
    actor: data.actor ?? undefined,
    actorId: data.actor_id,
    generation: data.generation,
    sessionId: data.session_id,
  };
}

/** What the times and the audience of a token are held against. Times in seconds. */
export interface ClaimRules {
  readonly now: number;
  readonly audience: string;
  /** How far the clocks may differ. */
  readonly leeway: number;
  /** The longest that a token may still be, or ever have been, valid. */
  readonly longestLife: number;
}

/** Fails unless the token is for this audience, is valid now, and does not live longer than is accepted. */
export function checkClaims({ audiences, expires, notBefore, issued }: Claims, { now, audience, leeway, longestLife }: ClaimRules): void {
  if (!audiences.includes(audience)) throw new SallyportError('token_audience_wrong', { detail: `The token is not for \`${audience}\`` });
  if (expires <= now - leeway) throw new SallyportError('token_expired');
  if (Math.max(notBefore ?? 0, issued ?? 0) > now + leeway) throw new SallyportError('token_not_yet_valid');
  if (expires - now > longestLife + leeway || (issued !== undefined && expires - issued > longestLife)) {
    throw new SallyportError('token_lives_too_long', { detail: `A token of this issuer may live ${longestLife} seconds` });
  }
}

function readRestriction(claim: unknown): Permissions {
  try {
    return permissionsOf(parsePermissions(claim));
  } catch (error) {
    throw invalidToken(error instanceof SallyportError ? error.message : 'its permissions cannot be read');
  }
}
