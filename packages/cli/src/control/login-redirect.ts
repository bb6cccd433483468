import { SallyportError } from '@sallyport/sdk';
import type { ClientConfig } from './client-config.js';
import type { RequestSigner } from './request-token.js';
import { basePath } from './server-url.js';
import type { Service } from './services.js';

/** Where a login may lead back to, and which service its token is for there. */
export interface LoginTarget {
  readonly address: URL;
  readonly service: Service;
}

const LIFETIME = 60;

/** The web applications of the configuration: the marketplace belongs to the public service, the console to the admin API. */
export function loginTargets({ server }: ClientConfig): readonly LoginTarget[] {
  const { marketplace, admin_ui: console } = server;
  return [
    ...(marketplace === undefined ? [] : [{ address: marketplace, service: 'public' as const }]),
    ...(console === undefined ? [] : [{ address: console, service: 'admin-api' as const }]),
  ];
}

/**
 * The address to send a browser to: the one it wants to return to, with a token for one login within a minute in `auth_token`. Errors:
 * `login_return_refused` unless the address is at or below one of the targets.
 */
export async function loginRedirect(returnTo: string | null, targets: readonly LoginTarget[], signer: RequestSigner): Promise<string> {
  const url = returnTo === null ? null : parseReturn(returnTo);
  const target = url === null ? undefined : targets.find(({ address }) => isBelow(url, address));
  if (url === null || target === undefined) {
    throw new SallyportError('login_return_refused', {
      detail:
        returnTo === null ? 'The parameter `return_to_url` is missing.' : 'The address to return to is not one of those that a login may lead to.',
    });
  }
  const token = await signer.sign({ audiences: [target.service], lifetime: LIFETIME, singleUse: true });
  url.searchParams.set('auth_token', token.reveal());
  return url.href;
}

/** Only what every browser reads the same way. */
function parseReturn(text: string): URL | null {
  if (!/^https?:\/\/[^\\\s\p{Cc}]+$/iu.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  return url.username === '' && url.password === '' ? url : null;
}

function isBelow(url: URL, target: URL): boolean {
  const base = basePath(target);
  return url.origin === target.origin && (url.pathname === base || url.pathname.startsWith(`${base}/`));
}
