import { SallyportError } from '@sallyport/sdk';
import { type CanonicalHost, parseAuthority } from '../policy/canonical-host.js';

/** An absolute http or https URL, taken apart without changing a byte of its path and query. */
export interface TargetUrl {
  readonly scheme: 'http' | 'https';
  /** As written: what a Host header would be compared with. */
  readonly authority: string;
  readonly host: CanonicalHost;
  readonly port: number;
  /** As written; `/` when there is none. */
  readonly path: string;
  /** As written, with its `?`; empty when there is none. */
  readonly query: string;
}

const ABSOLUTE = /^(https?):\/\/([^/?#\\]*)([^?#]*)(\?[^#]*)?(#.*)?$/i;
const BARE_COLON = /^(?:\[[^\]]*\]|[^:]*):$/;
const ALLOWED = /^[\x21-\x7e]*$/;

/** Ports of the two schemes. */
export const defaultPorts = { http: 80, https: 443 } as const;

/**
 * Takes an absolute URL apart (RFC 3986, RFC 9112 §3.2.2). The host is made canonical; path and query go on exactly as written.
 * With `dropUserinfo` a user name and password in front of the host are left out; otherwise, and for everything else that is no such URL,
 * `target_invalid`. A fragment is refused: it is never sent, so whoever writes one means something else.
 */
export function parseTargetUrl(text: string, dropUserinfo = false): TargetUrl {
  const match = ABSOLUTE.exec(text);
  if (match === null) throw invalid('it is not an absolute URL that begins with http:// or https://');
  const [, schemeText = '', written = '', path = '', query = '', fragment] = match;
  if (!ALLOWED.test(text)) throw invalid('it holds a character that a URL may not');
  if (fragment !== undefined) throw invalid('it has a fragment (#…), which is never sent');
  if (path !== '' && !path.startsWith('/')) throw invalid('its path does not begin with a slash');
  const scheme = schemeText.toLowerCase() === 'https' ? 'https' : 'http';
  const at = written.lastIndexOf('@');
  if (at >= 0 && !dropUserinfo) throw invalid('it carries a user name or password; send credentials in their own header, or bind one here');
  const authority = at < 0 ? written : written.slice(at + 1);
  if (authority === '') throw invalid('it names no host');
  // A bare colon after the host means the default port (RFC 3986 §3.2.3); behind a port it is rubbish.
  const { host, port } = parseAuthority(BARE_COLON.test(authority) ? authority.slice(0, -1) : authority);
  return { scheme, authority, host, port: port ?? defaultPorts[scheme], path: path === '' ? '/' : path, query };
}

function invalid(what: string): SallyportError {
  return new SallyportError('target_invalid', { detail: `the target URL cannot be used: ${what}` });
}
