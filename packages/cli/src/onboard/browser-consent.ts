import type { Secret } from '@sallyport/sdk';
import { authorizationUrl, beginSession, judgeAnswer } from './authorization.js';
import { openBrowser } from './browser.js';
import { openCallbackServer } from './callback-server.js';
import { exchangeCode } from './exchange.js';
import type { Progress } from './progress.js';
import type { Provider } from './provider.js';
import { orTimeout } from './time-limit.js';

/**
 * Gets consent by the browser of this machine, which comes back to a port on loopback (RFC 8252 §7.3), and answers the refresh token. Errors:
 * `onboarding_timeout`, `onboarding_denied`, `onboarding_exchange_failed`, `onboarding_token_missing`, `address_in_use`, `bind_failed`.
 */
export async function consentByBrowser(
  provider: Provider,
  { port, browser, progress, timeLimit }: { port: number; browser: boolean; progress: Progress; timeLimit: AbortSignal },
): Promise<Secret> {
  const session = beginSession(provider);
  const server = await openCallbackServer(port, (answer) => judgeAnswer(provider, session, answer));
  let answer: URLSearchParams;
  try {
    const url = await authorizationUrl(provider, session, server.redirectUri);
    const show = (why: string): void => progress.say(`${why}\n\n  ${url}\n`);
    if (browser) {
      progress.say('The browser opens for you to sign in and to consent.');
      openBrowser(url, () => show('It cannot be opened; open this address yourself:'));
    } else show('Open this address in a browser on this machine:');
    const waited = progress.wait('Waiting for the consent…');
    try {
      answer = await orTimeout(server.answer, timeLimit);
    } finally {
      waited();
    }
  } finally {
    await server.close();
  }
  progress.say('The consent is there; fetching the token.');
  return exchangeCode(provider, session, answer, server.redirectUri);
}
