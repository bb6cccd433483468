import { SallyportError } from '@sallyport/sdk';

/** The attribute of the same name (RFC 6265bis). */
type SameSite = 'strict' | 'lax' | 'none';

/** How the cookies of one service are written. */
export interface CookieSettings {
  /** Whether browsers reach the service by https. */
  readonly secure: boolean;
  /** Lets the hosts below this domain have the cookie too. Left out: this host alone. */
  readonly domain?: string;
  readonly sameSite: SameSite;
  /**
   * Whether the name gets `__Host-` in front where that is possible: secure, without a domain. A browser then takes the cookie from this host only, so
   * that no neighbouring host can plant a session of its own. True when left out; false keeps the plain name for programs that look for it.
   */
  readonly prefix?: boolean;
}

/** The cookie of one service. */
export interface ServiceCookie {
  readonly name: string;
  /** The value in a Cookie field; undefined when it is not there, or there with two different values, of which one may be planted. */
  read(cookieField: string | undefined): string | undefined;
  /** A Set-Cookie field. HttpOnly, and for the whole host. */
  write(value: string, maxAgeMs: number): string;
  /** A Set-Cookie field that takes it away. */
  clear(): string;
}

const SESSION_COOKIE = 'SESSION-ID';
const LONGEST_COOKIE_FIELD = 32 * 1024;

/**
 * The SameSite attribute where none is configured: a service that serves its own web app needs no requests from other sites with the cookie, the
 * others do. Browsers refuse `none` on a connection that is not secure.
 */
export function defaultSameSite(service: { readonly kind: string; readonly servesApp: boolean; readonly secure: boolean }): SameSite {
  if (!service.servesApp) return service.secure ? 'none' : 'lax';
  return service.kind === 'admin-api' ? 'strict' : 'lax';
}

/** The session cookie under these settings: `SESSION-ID`, or `__Host-SESSION-ID`. Fails with `config_invalid` when no browser would take it. */
export function sessionCookie(settings: CookieSettings): ServiceCookie {
  return serviceCookie(SESSION_COOKIE, settings);
}

/** A cookie of any name, written and read in the same manner. Only the name that is written is read. */
export function serviceCookie(plainName: string, settings: CookieSettings): ServiceCookie {
  const { secure, domain, sameSite, prefix = true } = settings;
  if (sameSite === 'none' && !secure) {
    throw new SallyportError('config_invalid', { detail: 'A cookie with `same_site: none` needs https: browsers refuse it otherwise' });
  }
  if (domain !== undefined && !DOMAIN.test(domain))
    throw new SallyportError('config_invalid', { detail: `\`${domain}\` is not the domain of a cookie` });
  const name = secure && domain === undefined && prefix ? `__Host-${plainName}` : plainName;
  const ending = [
    ...(domain === undefined ? [] : [`Domain=${domain}`]),
    ...['Path=/', 'HttpOnly', ...(secure ? ['Secure'] : []), `SameSite=${{ strict: 'Strict', lax: 'Lax', none: 'None' }[sameSite]}`],
  ].join('; ');
  return {
    name,
    read: (field) => readCookie(field, name),
    write: (value, maxAgeMs) => `${name}=${value}; Max-Age=${Math.max(0, Math.floor(maxAgeMs / 1000))}; ${ending}`,
    clear: () => `${name}=; Max-Age=0; ${ending}`,
  };
}

const DOMAIN = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i;

function readCookie(field: string | undefined, name: string): string | undefined {
  if (field === undefined || field.length > LONGEST_COOKIE_FIELD) return undefined;
  const values = new Set<string>();
  for (const pair of field.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) values.add(pair.slice(equals + 1).trim());
  }
  const [value] = values;
  return values.size === 1 ? value : undefined;
}
