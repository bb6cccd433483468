import type { Database } from '../database/open-database.js';
import { type ServedControl, serveControl } from '../server/testing/served-control.test.support.js';
import type { BrowserSettings } from '../sign-in/browser-service.js';
import { amongKeys, type Issuer } from '../tokens/issuers.js';
import { newSigner, sign, verifierOf } from '../tokens/tokens.test.support.js';
import { createBrowser, type TestBrowser } from './browser.test.support.js';

/** Where browsers find the services, the host's page with the marketplace in it, and a page that nobody allowed. */
export const CONNECT = 'https://connect.example.com';
export const CONSOLE = 'https://console.example.com';
export const MARKET = 'https://market.host.example';
export const EVIL = 'https://evil.example';

const host = newSigner('P-256');

/** A control plane whose services have browsers, the host application that signs people in, and new browsers. */
export interface HandOff extends ServedControl {
  readonly browser: () => TestBrowser;
  /** What the host signs for somebody: a token that counts once. */
  readonly handOff: (who: { readonly namespace: string; readonly externalId: string }, claims?: Readonly<Record<string, unknown>>) => Promise<string>;
  /** A browser in which somebody has signed in to the console, and the XSRF token. */
  readonly signedIn: (
    who: { readonly namespace: string; readonly externalId: string },
    claims?: Readonly<Record<string, unknown>>,
  ) => Promise<{ readonly browser: TestBrowser; readonly xsrf: string; readonly cookie: string; readonly id: string }>;
}

/** Serves it all. The settings replace those of the console. */
export async function serveHandOff(database: Database, settings: Partial<BrowserSettings> = {}): Promise<HandOff> {
  const issuers = new Map<string, Issuer>([['host', { findKeys: amongKeys([await verifierOf(host)]), namespace: 'root', longestLife: 300 }]]);
  const control = await serveControl(database, {
    issuers,
    browsers: {
      public: {
        ...{ baseUrl: CONNECT, cors: { allowedOrigins: [`${MARKET}/`] }, returnUrls: [`${MARKET}/shop`] },
        ...{ initiateSessionUrl: 'https://host.example/login?app=1', configuration: () => ({ title: 'Market', features: ['a'] }) },
      },
      'admin-api': { baseUrl: CONSOLE, ...settings },
    },
  });
  const browser = (): TestBrowser => createBrowser({ [CONNECT]: control.url('public'), [CONSOLE]: control.url('admin-api') });
  let nonces = 0;
  const handOff: HandOff['handOff'] = ({ namespace, externalId }, claims = {}) => {
    nonces += 1;
    const now = Math.floor(Date.now() / 1000);
    const aud = ['public', 'admin-api'];
    return sign(host, { sub: externalId, namespace, aud, iat: now, exp: now + 60, nonce: `non_${nonces}`, ...claims });
  };
  const signedIn: HandOff['signedIn'] = async (who, claims) => {
    const used = browser();
    const headers = { authorization: `Bearer ${await handOff(who, claims)}` };
    const answer = await used.call(CONSOLE, 'POST', `${CONSOLE}/session/_initiate`, { body: {}, headers });
    if (answer.status !== 200) throw new Error(`Nobody is signed in: ${answer.text}`);
    const { session } = answer.body as { readonly session: { readonly id: string } };
    const [[name, { value }] = ['', { value: '' }]] = used.cookies(CONSOLE);
    return { browser: used, xsrf: answer.headers.get('x-xsrf-token') ?? '', cookie: `${name}=${value}`, id: session.id };
  };
  return { ...control, browser, handOff, signedIn };
}
