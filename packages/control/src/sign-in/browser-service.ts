import { SallyportError } from '@sallyport/sdk';
import type { Sealer } from '../database/sealer.js';
import { type CorsRequest, type CorsSettings, type CorsVerdict, corsPolicy } from '../sessions/cors-policy.js';
import { createInitiation, type WebAppConfiguration } from '../sessions/initiate-session.js';
import { type ReturnUrls, returnUrls } from '../sessions/return-url.js';
import type { SessionLifetimes } from '../sessions/session.js';
import { type CookieSettings, defaultSameSite, type ServiceCookie, sessionCookie } from '../sessions/session-cookie.js';
import type { Sessions } from '../sessions/sessions.js';
import type { UseNonce } from '../tokens/verify-token.js';
import { openIdentityProvider } from './identity-provider.js';
import { type IdentityProviderInput, readIdentityProvider } from './identity-provider-config.js';
import type { People } from './people.js';
import { createSignIn, type SignIn } from './sign-in.js';

/** How the browsers of people reach a service, and how people sign in to it. */
export interface BrowserSettings {
  /** Where browsers reach it: an origin such as `https://connect.example.com`. */
  readonly baseUrl: string;
  readonly cookie?: { readonly domain?: string; readonly sameSite?: CookieSettings['sameSite'] };
  readonly lifetimes?: SessionLifetimes;
  /** Pages of which other origins may call it. None when left out: it serves its own. */
  readonly cors?: CorsSettings;
  /** Where people may be sent back to besides the service itself. */
  readonly returnUrls?: readonly string[];
  /** Where the host signs its people in. When left out, the one identity provider if there is one; otherwise people choose. */
  readonly initiateSessionUrl?: string;
  /** What its web app is told about itself. Nothing when left out. */
  readonly configuration?: () => WebAppConfiguration | Promise<WebAppConfiguration>;
  /** Those that people sign in with. Each comes back to a URL of its own below `baseUrl`: `/sign-in/NAME/callback`. */
  readonly providers?: readonly Omit<IdentityProviderInput, 'callback_url'>[];
}

/** A service as its browsers and its operations see it. */
export interface BrowserService {
  readonly cookie: ServiceCookie;
  readonly cors: (request: CorsRequest) => CorsVerdict;
  readonly returnUrls: ReturnUrls;
  readonly initiate: ReturnType<typeof createInitiation>;
  readonly signIn: SignIn;
  /** The front page of the service, where a browser goes that nobody said a better place for. */
  readonly frontPage: string;
}

/** What a service of browsers works with. */
export interface BrowserServiceParts {
  readonly sessions: Pick<Sessions, 'open'>;
  readonly people: Pick<People, 'enter' | 'expel'>;
  readonly sealer: Sealer;
  readonly useNonce: UseNonce;
  readonly now: () => number;
}

/** Reads the settings of a service whole, so that nothing of them fails when somebody signs in. Fails with `config_invalid`. */
export function openBrowserService(service: string, settings: BrowserSettings, parts: BrowserServiceParts): BrowserService {
  const { baseUrl, cors = { allowedOrigins: [] }, configuration = () => ({}), providers = [] } = settings;
  const origin = originOf(baseUrl);
  const secure = origin.startsWith('https:');
  const { domain, sameSite = defaultSameSite({ kind: service, servesApp: cors.allowedOrigins.length === 0, secure }) } = settings.cookie ?? {};
  const own = originsOf(origin);
  const back = returnUrls([...own, ...(settings.returnUrls ?? [])]);
  const pathOf = (name: string): string => `${origin}/sign-in/${name}`;
  const only = providers.length === 1 ? providers[0] : undefined;
  const initiateSessionUrl = settings.initiateSessionUrl ?? (only === undefined ? undefined : pathOf(only.name));
  const { sessions, ...others } = parts;
  return {
    cookie: sessionCookie({ secure, sameSite, ...(domain === undefined ? {} : { domain }) }),
    cors: corsPolicy(cors, own),
    returnUrls: back,
    initiate: createInitiation({ service, sessions, returnUrls: back, initiateSessionUrl, configuration }),
    signIn: createSignIn({
      ...{ ...others, service, sessions, returnUrls: back, cookie: { secure } },
      providers: providers.map((provider) =>
        openIdentityProvider(readIdentityProvider({ ...provider, callback_url: `${pathOf(provider.name)}/callback` })),
      ),
    }),
    frontPage: `${origin}/`,
  };
}

const LOOPBACK = ['127.0.0.1', 'localhost'];

/** A service on this machine has two names, and people type in either. */
function originsOf(origin: string): readonly string[] {
  const { protocol, hostname, host } = new URL(origin);
  if (!LOOPBACK.includes(hostname)) return [origin];
  return LOOPBACK.map((name) => `${protocol}//${host.replace(hostname, name)}`);
}

function originOf(text: string): string {
  const url = URL.parse(text);
  const plain = url !== null && (url.protocol === 'https:' || url.protocol === 'http:') && url.href === `${url.origin}/`;
  if (!plain) throw new SallyportError('config_invalid', { detail: `\`${text}\` is not an origin such as https://app.example.com` });
  return url.origin;
}
