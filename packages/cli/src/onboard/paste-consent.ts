import { createInterface } from 'node:readline';
import { SallyportError, type Secret } from '@sallyport/sdk';
import { authorizationUrl, beginSession, judgeAnswer, type Session } from './authorization.js';
import { exchangeCode } from './exchange.js';
import type { Progress } from './progress.js';
import { invalid, type Provider } from './provider.js';
import { orTimeout } from './time-limit.js';

const ATTEMPTS = 10;
const LONGEST = 64 * 1024;
const CODE = /^[\x21-\x7e]+$/;

/**
 * Gets consent by any browser anywhere: the person pastes the address that it was sent to in the end, or the code alone. What does not fit is
 * asked for again, ten times at most. Errors as of `consentByBrowser`, and `onboarding_denied` when the input ends.
 */
export async function consentByPaste(
  provider: Provider,
  { redirectUri, input, progress, timeLimit }: { redirectUri: string; input: NodeJS.ReadableStream; progress: Progress; timeLimit: AbortSignal },
): Promise<Secret> {
  const session = beginSession(provider);
  progress.say(`Open this address in a browser:\n\n  ${await authorizationUrl(provider, session, redirectUri)}\n`);
  progress.say(
    'After the consent the browser is sent to an address that it may not be able to load. That does not matter: copy the whole address from the\n' +
      'address bar, paste it here and press Enter.',
  );
  const answer = await orTimeout(pastedAnswer(provider, session, { input, progress, timeLimit }), timeLimit);
  progress.say('The consent is there; fetching the token.');
  return exchangeCode(provider, session, answer, redirectUri);
}

async function pastedAnswer(
  provider: Provider,
  session: Session,
  { input, progress, timeLimit }: { input: NodeJS.ReadableStream; progress: Progress; timeLimit: AbortSignal },
): Promise<URLSearchParams> {
  const lines = createInterface({ input, signal: timeLimit });
  let attempts = 0;
  try {
    for await (const line of lines) {
      if (line.trim() === '') continue;
      attempts += 1;
      const pasted = readPasted(line, session);
      const judgement = typeof pasted === 'string' ? { kind: 'stray' as const, why: pasted } : judgeAnswer(provider, session, pasted);
      if (judgement.kind === 'code') return judgement.parameters;
      if (judgement.kind === 'denied') throw judgement.error;
      if (attempts === ATTEMPTS) break;
      progress.say(`${judgement.why} Paste the address that the browser was sent to after the consent.`);
    }
  } finally {
    lines.close();
  }
  throw new SallyportError('onboarding_denied', {
    detail: attempts === ATTEMPTS ? 'None of what was pasted is the answer to this session.' : 'The input ended before an answer was pasted.',
    hint: 'Begin again, open the new address, and paste the address that the browser is sent to in the end.',
  });
}

/**
 * The parameters of a pasted address, of its query, or of a code alone; a sentence when there are none. A code alone carries no state: it is taken
 * only where PKCE ties it to this session.
 */
export function readPasted(line: string, session: Session): URLSearchParams | string {
  const text = line.trim();
  if (text.length > LONGEST) return 'That is too long.';
  if (/^[a-z][a-z0-9+.-]*:/i.test(text) && URL.canParse(text)) return new URL(text).searchParams;
  if (/(?:^|[?&])(?:state|error)=/.test(text)) return new URLSearchParams(text.slice(text.indexOf('?') + 1));
  if (!CODE.test(text)) return 'That is neither an address nor a code.';
  if (session.verifier === null) return 'Without PKCE a code alone cannot be told from that of somebody else.';
  return new URLSearchParams({ code: text, state: session.state });
}

/** Where the browser is sent to in the end when nothing listens there. Errors: `onboarding_invalid`. */
export function pasteRedirectUri(given: string | undefined, port: number): string {
  if (given === undefined) return port === 0 ? 'http://127.0.0.1/callback' : `http://127.0.0.1:${port}/callback`;
  if (!URL.canParse(given)) throw invalid('--redirect-uri is not an absolute URI.', 'Use one that is registered for the client.');
  return given;
}
