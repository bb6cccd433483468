import { configValues, isLoopback, listenHost, listenPort, overlap, parseNetwork, type ValueContext } from '@sallyport/gateway';
import { z } from 'zod';
import { corsPolicy } from '../sessions/cors-policy.js';
import { serviceCookie } from '../sessions/session-cookie.js';
import { accepted, type Issues, withoutUndefined } from './accepted.js';
import { serviceTls } from './service-tls.js';
import { originUrl } from './urls.js';

const { duration, integer, oneOf, parsedText, text } = configValues;

const LONGEST_SESSION = 365 * 86_400_000;
const LONGEST_PREFLIGHT = 86_400_000;
const MOST_ORIGINS = 256;

/** Where each service of the control plane listens, and who may reach it. */
export function servicesSection(context: ValueContext) {
  return z
    .strictObject({
      public: withSessions(context, 8080).prefault({}).describe('What people meet: sign-in, OAuth callbacks, the marketplace.'),
      api: overHttp(context, 8081).prefault({}).describe('What the back end of the host application calls, with tokens.'),
      admin_api: withSessions(context, 8082).prefault({}).describe('What operators use: the console, the command line.'),
      worker: workerService().prefault({}).describe('What runs tasks: it answers for its health alone.'),
    })
    .superRefine(checkListeners)
    .prefault({})
    .describe('Where each service of the control plane listens. A process opens those that it serves.');
}

/** Where the services listen. */
export type ServicesConfig = z.output<ReturnType<typeof servicesSection>>;

function workerService() {
  return z.strictObject({ host: listenHost('Address to listen on.'), port: listenPort(8083) });
}

function commonKeys(context: ValueContext, port: number, credentials: boolean) {
  return {
    host: listenHost('Address to listen on. Beyond loopback, `base_url` is needed where browsers come.'),
    port: listenPort(port),
    health_port: integer(0, 65_535).optional().describe('Answers for the health on a port of its own, without TLS; on `port` when left out.'),
    base_url: originUrl()
      .optional()
      .describe('How it is reached from outside, such as `https://connect.example.com`; made of `host` and `port` when left out.'),
    tls: serviceTls(context)
      .optional()
      .describe('Serves it over TLS: exactly one of `cert` with `key`, `self_signed` and `acme`. Left out where a balancer does.'),
    trusted_proxies: z
      .array(parsedText('a network', parseNetwork))
      .prefault([])
      .describe('Networks of the balancers in front: who a request comes from is what they say in `X-Forwarded-For`. Nobody else is believed.'),
    cors: corsSchema(credentials),
  };
}

function overHttp(context: ValueContext, port: number) {
  return z.strictObject(commonKeys(context, port, false)).superRefine((service, issues) => checkUrl(service, issues));
}

function withSessions(context: ValueContext, port: number) {
  return z
    .strictObject({
      ...commonKeys(context, port, true),
      cookie: z
        .strictObject({
          domain: text('a domain').optional().describe('Lets the hosts below this domain have the cookie too; this host alone when left out.'),
          same_site: oneOf(['strict', 'lax', 'none'])
            .optional()
            .describe('Which requests from other sites carry it; `none` needs https. What fits the service when left out.'),
        })
        .prefault({})
        .describe('The cookie of sessions.'),
      session_timeout: duration(LONGEST_SESSION).prefault('1h').describe('A session ends when it has not been used for this long.'),
      session_lifetime: duration(LONGEST_SESSION).prefault('12h').describe('A session ends after this time, however much it is used.'),
    })
    .superRefine((service, issues) => {
      checkUrl(service, issues);
      checkCookie(service, issues);
      if (service.session_timeout > service.session_lifetime)
        issues.addIssue({ code: 'custom', path: ['session_timeout'], message: 'is longer than session_lifetime' });
      if (service.base_url === undefined && !isLoopback(service.host)) {
        const message = 'others can reach this address; say under which URL with base_url, or listen on 127.0.0.1';
        issues.addIssue({ code: 'custom', path: ['host'], message });
      }
    });
}

function corsSchema(credentials: boolean) {
  const origin = text('an origin').superRefine((written, issues) => {
    accepted(() => corsPolicy({ allowedOrigins: [written], allowCredentials: credentials }), issues);
  });
  return z
    .strictObject({
      allowed_origins: z
        .array(origin)
        .max(MOST_ORIGINS, `is longer than ${MOST_ORIGINS}`)
        .prefault([])
        .describe('Origins of pages that may call it from a browser, such as `https://app.example.com`. Its own need not be named.'),
      max_age: duration(LONGEST_PREFLIGHT)
        .refine((milliseconds) => milliseconds % 1_000 === 0, 'expected whole seconds')
        .prefault('12h')
        .describe('How long a browser may remember that.'),
    })
    .prefault({})
    .describe('Which other origins may call it.');
}

interface Reachable {
  readonly base_url?: string | undefined;
  readonly tls?: { readonly acme?: { readonly hosts: readonly string[] } | undefined } | object | undefined;
}

function checkUrl({ base_url: url, tls }: Reachable, issues: Issues): void {
  if (url === undefined || tls === undefined) return;
  if (url.startsWith('http:')) {
    issues.addIssue({ code: 'custom', path: ['base_url'], message: 'this service speaks TLS, so its URL begins with https://' });
  }
  const hosts = 'acme' in tls ? (tls.acme?.hosts ?? []) : null;
  const { hostname } = new URL(url);
  if (hosts !== null && !hosts.some((host) => host.toLowerCase() === hostname)) {
    issues.addIssue({ code: 'custom', path: ['tls', 'acme', 'hosts'], message: `${hostname} of base_url is not among them` });
  }
}

interface WithCookie extends Reachable {
  readonly cookie: { readonly domain?: string | undefined; readonly same_site?: 'strict' | 'lax' | 'none' | undefined };
}

function checkCookie({ base_url: url, tls, cookie: { domain, same_site: sameSite = 'lax' } }: WithCookie, issues: Issues): void {
  const secure = url === undefined ? tls !== undefined : url.startsWith('https:');
  if (sameSite === 'none' && !secure) {
    const message = 'browsers take such a cookie over https alone; say so with tls or base_url';
    issues.addIssue({ code: 'custom', path: ['cookie', 'same_site'], message });
    return;
  }
  const cookie = accepted(() => serviceCookie('x', withoutUndefined({ secure, domain, sameSite })), issues, ['cookie', 'domain']);
  if (cookie === null || domain === undefined) return;
  const hostname = url === undefined ? 'localhost' : new URL(url).hostname;
  if (hostname !== domain.toLowerCase() && !hostname.endsWith(`.${domain.toLowerCase()}`)) {
    issues.addIssue({ code: 'custom', path: ['cookie', 'domain'], message: `${hostname} of base_url is not below it, and could not set the cookie` });
  }
}

interface Listening {
  readonly host: string;
  readonly port: number;
  readonly health_port?: number | undefined;
}

function checkListeners(services: Readonly<Record<string, Listening>>, issues: Issues): void {
  const taken: { readonly service: string; readonly host: string; readonly port: number }[] = [];
  for (const [service, { host, port, health_port: health }] of Object.entries(services)) {
    for (const [key, own] of [['port', port] as const, ['health_port', health] as const]) {
      if (own === undefined || own === 0) continue;
      const other = taken.find((earlier) => earlier.port === own && overlap(earlier.host, host));
      if (other !== undefined && !(other.service === service && key === 'health_port'))
        issues.addIssue({ code: 'custom', path: [service, key], message: `the service ${other.service} has this address already` });
      taken.push({ service, host, port: own });
    }
  }
}
