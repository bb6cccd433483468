import type { TestAnswer } from '../server/testing/served-control.test.support.js';

/** What a page asks for. */
interface PageRequest {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A cookie as a browser keeps it. */
interface StoredCookie {
  readonly value: string;
  readonly sameSite: string;
}

/** A browser with a jar of cookies. It knows the rules of cookies and of CORS that services rely on. */
export interface TestBrowser {
  /** Goes to a URL, from a page of this origin or by typing it in, and does not follow where the answer sends it. */
  visit(url: string, from?: string): Promise<TestAnswer>;
  /** A script of a page of this origin calls a URL with credentials. Rejects when CORS keeps the answer, or the whole request, from the page. */
  call(page: string, method: string, url: string, request?: PageRequest): Promise<TestAnswer>;
  /** The cookies of an origin by name. */
  cookies(origin: string): ReadonlyMap<string, StoredCookie>;
  /** Puts a cookie there, as a neighbouring host or somebody at the keyboard might. */
  plant(origin: string, name: string, value: string): void;
}

/** Origins that the browser knows by name, and where they really are: on loopback, with nothing in between that would end TLS. */
export function createBrowser(origins: Readonly<Record<string, string>>): TestBrowser {
  const jars = new Map<string, Map<string, StoredCookie>>();

  function jarOf(origin: string): Map<string, StoredCookie> {
    const jar = jars.get(origin) ?? new Map<string, StoredCookie>();
    jars.set(origin, jar);
    return jar;
  }

  function keep(origin: string, field: string): void {
    const [pair = '', ...rest] = field.split('; ');
    const attributes = new Map(rest.map((text) => [text.split('=')[0]?.toLowerCase(), text.split('=')[1] ?? '']));
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
    const secure = attributes.has('secure');
    const hostOnly = secure && !attributes.has('domain') && attributes.get('path') === '/';
    if (!attributes.has('httponly') || (secure && !origin.startsWith('https:')) || (name.startsWith('__Host-') && !hostOnly)) {
      throw new Error(`No browser may take ${field}`);
    }
    if (attributes.get('max-age') === '0') jarOf(origin).delete(name);
    else jarOf(origin).set(name, { value, sameSite: attributes.get('samesite') ?? 'Lax' });
  }

  async function send(method: string, target: URL, cookie: string, { body, headers }: PageRequest): Promise<TestAnswer> {
    const real = origins[target.origin];
    if (real === undefined) throw new Error(`Nobody is at ${target.origin}`);
    const answer = await fetch(`${real}${target.pathname}${target.search}`, {
      ...{ method, redirect: 'manual' },
      headers: { ...headers, ...(cookie === '' ? {} : { cookie }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    for (const field of answer.headers.getSetCookie()) keep(target.origin, field);
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
  }

  function cookieField(target: URL, from: string | undefined, navigates: boolean): string {
    const near = from === undefined || siteOf(from) === siteOf(target.origin);
    const sent = [...jarOf(target.origin)].filter(([, { sameSite }]) => near || sameSite === 'None' || (sameSite === 'Lax' && navigates));
    return sent.map(([name, { value }]) => `${name}=${value}`).join('; ');
  }

  return {
    visit: (url, from) => send('GET', new URL(url), cookieField(new URL(url), from, true), {}),
    async call(page, method, url, request = {}) {
      const target = new URL(url);
      const foreign = page !== target.origin;
      // Browsers name the origin on all but same-origin GET and HEAD.
      const origin = foreign || method !== 'GET' ? { origin: page } : {};
      if (foreign && (method !== 'GET' || request.headers !== undefined)) {
        const preflight = await send('OPTIONS', target, '', {
          headers: { origin: page, 'access-control-request-method': method, 'access-control-request-headers': 'x-xsrf-token' },
        });
        const methods = preflight.headers.get('access-control-allow-methods')?.split(', ') ?? [];
        if (preflight.status !== 204 || !readable(preflight, page) || !methods.includes(method)) throw new Error('CORS: the request is not sent');
      }
      const answer = await send(method, target, cookieField(target, page, false), { ...request, headers: { ...request.headers, ...origin } });
      if (foreign && !readable(answer, page)) throw new Error('CORS: the answer is not shown');
      return answer;
    },
    cookies: jarOf,
    plant: (origin, name, value) => void jarOf(origin).set(name, { value, sameSite: 'Lax' }),
  };
}

function readable({ headers }: TestAnswer, page: string): boolean {
  return headers.get('access-control-allow-origin') === page && headers.get('access-control-allow-credentials') === 'true';
}

function siteOf(origin: string): string {
  const { protocol, hostname } = new URL(origin);
  return `${protocol}//${hostname.split('.').slice(-2).join('.')}`;
}
