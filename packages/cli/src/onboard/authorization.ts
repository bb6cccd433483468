import { createHash, timingSafeEqual } from 'node:crypto';
import type { SallyportError } from '@sallyport/sdk';
import { calculatePKCECodeChallenge, generateRandomCodeVerifier, generateRandomState, validateAuthResponse } from 'oauth4webapi';
import { denialOf } from './failures.js';
import type { Provider } from './provider.js';
import { quoted } from './quoted-text.js';

/** One attempt to get consent. State and verifier are 32 random bytes each, in base64url. */
export interface Session {
  readonly state: string;
  /** Null without PKCE. */
  readonly verifier: string | null;
}

/** What an answer at the redirect URI means. */
export type Judgement =
  /** Checked by the library, which takes only such parameters for the exchange. */
  | { readonly kind: 'code'; readonly parameters: URLSearchParams }
  | { readonly kind: 'denied'; readonly error: SallyportError }
  /** Not the answer to this session, or none that can be used: nothing ends because of it. */
  | { readonly kind: 'stray'; readonly why: string };

export function beginSession({ pkce }: Pick<Provider, 'pkce'>): Session {
  return { state: generateRandomState(), verifier: pkce ? generateRandomCodeVerifier() : null };
}

/** The address that the person has to open (RFC 6749 §4.1.1, RFC 7636 §4.3). A query that the endpoint has already stays. */
export async function authorizationUrl(provider: Provider, session: Session, redirectUri: string): Promise<string> {
  const url = new URL(provider.server.authorization_endpoint ?? '');
  for (const [name, value] of provider.extra) url.searchParams.set(name, value);
  const parameters: Readonly<Record<string, string | null>> = {
    client_id: provider.clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    state: session.state,
    scope: provider.scope,
    resource: provider.resource,
    code_challenge: session.verifier === null ? null : await calculatePKCECodeChallenge(session.verifier),
    code_challenge_method: session.verifier === null ? null : 'S256',
  };
  for (const [name, value] of Object.entries(parameters)) if (value !== null) url.searchParams.set(name, value);
  return url.href;
}

/**
 * Judges an answer. The state comes first: without the right one nothing else is believed, not even an error, so that nobody who does not know it
 * can end the session.
 */
export function judgeAnswer(provider: Provider, session: Session, answer: URLSearchParams): Judgement {
  const states = answer.getAll('state');
  if (states.length !== 1 || !sameText(states[0], session.state)) {
    return { kind: 'stray', why: states.length === 0 ? 'The state is missing.' : 'State mismatch: this is not the answer to this session.' };
  }
  const parameters = new URLSearchParams(answer);
  // Nothing to compare it with (RFC 9207 §2.4).
  if (!provider.issuerKnown) parameters.delete('iss');
  try {
    const valid = validateAuthResponse(provider.server, { client_id: provider.clientId }, parameters, session.state);
    const codes = valid.getAll('code');
    if (codes.length !== 1 || codes[0] === '') return { kind: 'stray', why: 'The authorization code is missing.' };
    return { kind: 'code', parameters: valid };
  } catch (error) {
    const denied = denialOf(error);
    if (denied !== null) return { kind: 'denied', error: denied };
    return { kind: 'stray', why: `The answer cannot be used: ${quoted(error instanceof Error ? error.message : 'unknown reason')}.` };
  }
}

/** Takes the same time wherever two texts differ, and whatever their lengths are. */
function sameText(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
