import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { compileGlob, type Glob } from './glob.js';
import { routeInvalid } from './route-invalid.js';

/** An absolute http or https URL, taken apart for matching. */
export interface TargetParts {
  readonly scheme: 'http' | 'https';
  /** As the URL standard writes it: lower case, IDN in ASCII form, IPv6 in brackets; without a trailing dot. */
  readonly host: string;
  readonly port: number;
  /** As written, `/` when there is none; null when servers may differ in how they read it. */
  readonly path: string | null;
  /** As written, without its `?`; empty when there is none. */
  readonly query: string;
}

/** A pattern for targets, taken apart in the same way. */
export interface TargetPattern {
  /** True when there is no wildcard in it. */
  readonly isLiteral: boolean;
  readonly scheme: 'http' | 'https' | null;
  readonly host: Glob;
  /** `default` is the port of the target's scheme. */
  readonly port: number | 'default' | 'any';
  /** Null: every path, those that can be read in more than one way included. */
  readonly path: Glob | null;
  /** Over `&`; null: every query. */
  readonly query: Glob | null;
}

const defaultPorts = { http: 80, https: 443 } as const;

const TARGET = /^(https?):\/\/([^/?#\\]+)([^?#]*)(?:\?([^#]*))?$/i;
// Dot segments, backslashes, and both in percent-encoding, once or more often.
const AMBIGUOUS_PATH = /\\|%(?:25)*5c|(?:^|\/|%(?:25)*2f)(?:\.|%(?:25)*2e){1,2}(?=$|[/;]|%(?:25)*2f|%(?:25)*3b)/i;

/** Takes a target apart. Userinfo is left out, so that no pattern can be satisfied by it. Null for what is no absolute http or https URL. */
export function parseTarget(text: string): TargetParts | null {
  const match = /^[\x21-\x7e]+$/.test(text) ? TARGET.exec(text) : null;
  if (match === null) return null;
  const [, schemeText = '', authority = '', path = '', query = ''] = match;
  const scheme = schemeText.toLowerCase() === 'https' ? 'https' : 'http';
  const place = authority.slice(authority.lastIndexOf('@') + 1);
  if (place === '' || (path !== '' && !path.startsWith('/')) || !URL.canParse(`${scheme}://${place}`)) return null;
  const url = new URL(`${scheme}://${place}`);
  const port = url.port === '' ? defaultPorts[scheme] : Number(url.port);
  return { scheme, host: withoutTrailingDot(url.hostname), port, path: AMBIGUOUS_PATH.test(path) ? null : path || '/', query };
}

/**
 * Reads `[SCHEME://]HOST[:PORT][/PATH][?QUERY]`. In HOST a `*` is one label and `**` any number of labels (a wildcard never stands for a part of an
 * IP address), and `*` alone is every host. PORT is a number, `*` for any, or left out for the default port of the scheme. PATH is a glob over `/`;
 * without one every path matches. QUERY is a glob over `&`; without one the query is not looked at. Throws `route_invalid`, naming `where`.
 */
export function parseTargetPattern(text: string, where: string): TargetPattern {
  const invalid = (what: string): Error => routeInvalid(`${where}: the target ${JSON.stringify(text)} cannot be read: ${what}`);
  const schemeMatch = /^([^/?]*):\/\//.exec(text);
  const schemeText = schemeMatch?.[1]?.toLowerCase() ?? null;
  if (schemeText !== null && schemeText !== 'http' && schemeText !== 'https') throw invalid('the scheme is http or https, or left out for both');
  const [, authority = '', path, query] = /^([^/?]*)(\/[^?]*)?(?:\?(.*))?$/s.exec(text.slice(schemeMatch?.[0].length ?? 0)) ?? [];
  if (/[@#\\\s]/.test(text)) throw invalid('user names, fragments, backslashes and white space are in no target');
  const [, hostText = '', portText] = /^(.*?)(?::([^:\]]*))?$/.exec(authority) ?? [];
  if (hostText === '') throw invalid('it names no host; "*" is every host, as in "*/v1/**"');
  if (portText !== undefined && portText !== '*' && !isPort(portText)) throw invalid('the port is a number from 1 to 65535, or *');
  const host = hostText.includes('*') ? wildcardHost(hostText) : exactHost(hostText);
  if (host === null) throw invalid('the host is not one that a URL can have');
  return {
    isLiteral: !text.includes('*'),
    scheme: schemeText,
    host,
    port: portText === undefined ? 'default' : portText === '*' ? 'any' : Number(portText),
    path: path === undefined || path === '/**' ? null : compileGlob(path, '/'),
    query: query === undefined ? null : compileGlob(query, '&'),
  };
}

/** Whether scheme, port and query of a target fit; host and path are asked for on their own. */
export function restMatches(pattern: TargetPattern, target: TargetParts): boolean {
  if (pattern.scheme !== null && pattern.scheme !== target.scheme) return false;
  if (pattern.port !== 'any' && target.port !== (pattern.port === 'default' ? defaultPorts[target.scheme] : pattern.port)) return false;
  return pattern.query === null || pattern.query.matches(target.query);
}

/** True when scheme or port alone show that no target fits both. */
export function restDisjoint(a: TargetPattern, b: TargetPattern): boolean {
  if (a.scheme !== null && b.scheme !== null && a.scheme !== b.scheme) return true;
  const [portsOfA, portsOfB] = [portsOf(a), portsOf(b)];
  return portsOfA !== null && portsOfB !== null && !portsOfA.some((port) => portsOfB.includes(port));
}

function portsOf({ scheme, port }: TargetPattern): readonly number[] | null {
  if (port === 'any') return null;
  if (port !== 'default') return [port];
  return scheme === null ? Object.values(defaultPorts) : [defaultPorts[scheme]];
}

function exactHost(text: string): Glob | null {
  if (!URL.canParse(`https://${text}`)) return null;
  const { hostname, port, pathname } = new URL(`https://${text}`);
  if (port !== '' || pathname !== '/') return null;
  return compileGlob(withoutTrailingDot(hostname), '.');
}

function wildcardHost(text: string): Glob | null {
  if (text === '*' || text === '**') return compileGlob('**', '.');
  const labels = withoutTrailingDot(text.toLowerCase())
    .split('.')
    .map((label) => (/^[\x21-\x7e]*$/.test(label) ? label : domainToASCII(label)));
  if (labels.some((label) => !/^[a-z0-9_*-]+$/.test(label))) return null;
  const glob = compileGlob(labels.join('.'), '.');
  return { ...glob, matches: (host) => isIP(host) === 0 && !host.startsWith('[') && glob.matches(host) };
}

function isPort(text: string): boolean {
  return /^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

function withoutTrailingDot(host: string): string {
  return host.endsWith('.') ? host.slice(0, -1) : host;
}
