import { SallyportError } from '@sallyport/sdk';

/** Which other origins may call a service from a browser. */
export interface CorsSettings {
  /** Origins such as `https://app.example.com`, a trailing slash ignored; `*` only without credentials. */
  readonly allowedOrigins: readonly string[];
  readonly allowedMethods?: readonly string[];
  readonly allowedHeaders?: readonly string[];
  readonly exposedHeaders?: readonly string[];
  /** How long a browser may remember the answer to a preflight, in seconds. Twelve hours when left out. */
  readonly maxAge?: number;
  /** Whether cookies come along. True when left out. */
  readonly allowCredentials?: boolean;
}

/** What of a request decides. */
export interface CorsRequest {
  readonly method: string;
  /** The Origin field. */
  readonly origin: string | undefined;
  /** The Access-Control-Request-Method field. */
  readonly requestedMethod?: string | undefined;
}

/**
 * `pass`: the request goes on, its answer with these fields. `preflight`: 204 with these fields, and nothing else is done. `refused`: 403 with an empty
 * body and these fields; the request does nothing.
 */
export interface CorsVerdict {
  readonly kind: 'pass' | 'preflight' | 'refused';
  readonly headers: Readonly<Record<string, string>>;
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'];
const ALLOWED_HEADERS = ['Origin', 'Authorization', 'Content-Type', 'Cookie', 'X-XSRF-Token', 'If-Match', 'Idempotency-Key'];
const EXPOSED_HEADERS = ['X-XSRF-Token', 'ETag', 'Location', 'Retry-After', 'X-Sallyport-Error'];
const TWELVE_HOURS = 12 * 3600;

/**
 * The rule of one service. `ownOrigins` are those of the service itself, whose pages need no permission. A request without Origin comes from no browser
 * page of another origin and passes; `Origin: null`, which any sandboxed page can send, is never allowed. Fails with `config_invalid`.
 */
export function corsPolicy(settings: CorsSettings, ownOrigins: readonly string[] = []): (request: CorsRequest) => CorsVerdict {
  const { allowedMethods = METHODS, allowedHeaders = ALLOWED_HEADERS, exposedHeaders = EXPOSED_HEADERS } = settings;
  const { maxAge = TWELVE_HOURS, allowCredentials = true } = settings;
  const anyOrigin = settings.allowedOrigins.includes('*');
  if (anyOrigin && allowCredentials) {
    throw new SallyportError('config_invalid', { detail: 'CORS with `*` and credentials would let every web site act as the person in front of it' });
  }
  const allowed = new Set(settings.allowedOrigins.filter((origin) => origin !== '*').map(readOrigin));
  const own = new Set(ownOrigins.map(readOrigin));
  // Set also on refusals: a cache must not hand the answer for one origin to another.
  const vary = { Vary: 'Origin' };

  return ({ method, origin, requestedMethod }) => {
    if (origin === undefined || own.has(origin)) return { kind: 'pass', headers: vary };
    if (origin === 'null' || !(anyOrigin || allowed.has(origin))) return { kind: 'refused', headers: vary };
    const granted = {
      ...vary,
      'Access-Control-Allow-Origin': anyOrigin ? '*' : origin,
      ...(allowCredentials ? { 'Access-Control-Allow-Credentials': 'true' } : {}),
    };
    if (method !== 'OPTIONS' || requestedMethod === undefined) {
      return { kind: 'pass', headers: { ...granted, 'Access-Control-Expose-Headers': exposedHeaders.join(', ') } };
    }
    return {
      kind: 'preflight',
      headers: {
        ...granted,
        'Access-Control-Allow-Methods': allowedMethods.join(', '),
        'Access-Control-Allow-Headers': allowedHeaders.join(', '),
        'Access-Control-Max-Age': String(maxAge),
      },
    };
  };
}

function readOrigin(text: string): string {
  const url = URL.parse(text);
  // A pattern would be taken for the name of a host, which no browser ever comes from.
  const plain = url !== null && !text.includes('*') && (url.protocol === 'https:' || url.protocol === 'http:') && url.href === `${url.origin}/`;
  if (!plain) throw new SallyportError('config_invalid', { detail: `\`${text}\` is not an origin such as https://app.example.com` });
  return url.origin;
}
