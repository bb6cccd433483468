import { SallyportError } from '@sallyport/sdk';
import { decodeJwt, type JWTPayload } from 'jose';
import type { Service } from './services.js';

/**
 * What a token says, when it holds: verified by the very code of the server, with this public key as the one key of its actor. Without a service, any
 * that it names will do. Errors: `actor_key_invalid`, `token_invalid`, `token_expired` and the other refusals of a token.
 */
export async function verifyWithPublicKey(
  token: string,
  publicKey: string,
  service: Service | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const { createTokenVerifier, parsePublicKey, publicVerificationKey } = await import('@sallyport/control');
  const key = publicVerificationKey(await parsePublicKey(publicKey));
  const verify = createTokenVerifier({
    issuers: new Map(),
    actorKeys: async () => [key],
    // Whether it was used is known to the server alone.
    useNonce: async () => true,
  });
  const claims = claimsOf(token);
  const audience = service ?? [claims.aud ?? ''].flat()[0] ?? '';
  const { signer, kid } = await verify(token, audience);
  return { ...claims, expires: new Date((claims.exp ?? 0) * 1000).toISOString(), signer, kid };
}

/** What it claims. Nobody has said it before it is verified, which is what is done next. */
function claimsOf(token: string): JWTPayload {
  try {
    return decodeJwt(token);
  } catch (cause) {
    throw new SallyportError('token_invalid', { detail: 'The token is not accepted: it is not a signed token in the compact form', cause });
  }
}
