import type { IncomingMessage } from 'node:http';
import { isLoopbackHost } from './server-url.js';

/** Who else may use a server that acts for whoever reaches it. */
export interface LocalGuardOptions {
  /** Names, without port, by which it may be called besides `localhost` and its own addresses. */
  readonly allowedHosts: readonly string[];
  /** Origins of web pages that may call it. */
  readonly allowedOrigins: readonly string[];
}

/** What of a request the guard looks at. */
export type GuardedRequest = Pick<IncomingMessage, 'headers'> & { readonly socket: { readonly localAddress?: string | undefined } };

/**
 * Makes the judge of requests to a server that hands out authority: answers why a request is refused, or null. Refused is one that names another host
 * (a web page whose name was pointed at this machine, known as DNS rebinding, still sends its own), and one that a browser sends for a page of
 * another origin. `navigation` lets a browser come here by a link.
 */
export function localGuard({ allowedHosts, allowedOrigins }: LocalGuardOptions): (request: GuardedRequest, navigation: boolean) => string | null {
  const hosts = new Set(allowedHosts.map((host) => host.toLowerCase()));
  const origins = new Set(allowedOrigins.map(originOf));

  function knowsHost(hostname: string, localAddress: string | undefined): boolean {
    // An address cannot be pointed elsewhere as a name can; it still has to be the one that was called.
    return isLoopbackHost(hostname) || hosts.has(hostname) || (localAddress !== undefined && hostname === bracketed(localAddress));
  }

  return ({ headers, socket }, navigation) => {
    const { host, origin } = headers;
    const called = host !== undefined && URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : null;
    // Whatever a URL would read out of the field besides host and port was not meant as one.
    if (called === null || host === undefined || /[/?#@\\\s]/.test(host)) return 'The Host field is missing or not well-formed.';
    if (!knowsHost(called.hostname, socket.localAddress)) return `It was called as ${called.hostname}, which is not one of its names.`;
    if (origin !== undefined) {
      const page = originOf(origin);
      const own = page === originOf(`http://${host}`) || page === originOf(`https://${host}`);
      return own || origins.has(page) ? null : 'A web page of another origin sent it.';
    }
    const site = headers['sec-fetch-site'];
    if (site === undefined || site === 'same-origin' || site === 'none') return null;
    return navigation && headers['sec-fetch-mode'] === 'navigate' ? null : 'A web page of another origin sent it.';
  };
}

/** The origin of an address in its one spelling; `null` stays a text that equals no origin. */
function originOf(text: string): string {
  return URL.canParse(text) && /^https?:/i.test(text) ? new URL(text).origin : `?${text}`;
}

function bracketed(address: string): string {
  const plain = address.replace(/^::ffff:(?=[0-9.]+$)/, '');
  return plain.includes(':') ? `[${plain.replace(/%.*$/, '')}]` : plain;
}
