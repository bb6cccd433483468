import { SallyportError } from '@sallyport/sdk';
import { canonicalHost, hostForUrl, parsePort } from './canonical-host.js';
import { formatIp, parseIp, unmapped } from './ip-address.js';
import { type Network, networkOf } from './network.js';
import { compilePathRule, type PathRule } from './path-rule.js';

/** A host key of an allow-list, read. */
export interface AllowListKey {
  /** The canonical spelling. Two keys that are the same have the same. */
  readonly text: string;
  /** From the right: the top-level domain first. An IPv6 address is one label. `*` stands for one label, `**` for none or more. */
  readonly labels: readonly string[];
  /** Null for the default port of the target's scheme. */
  readonly port: number | null;
  /** Set for an IP literal, which is named on purpose and may be called although it is not global. */
  readonly network: Network | null;
  /** The host in its canonical spelling; null for a key with wildcards. */
  readonly host: string | null;
}

/** Longer than any host name: 253 characters and their stars. */
const LONGEST_KEY = 512;

/**
 * Reads `host`, `host:port`, and the same with whole labels `*` (exactly one) or `**` (none or more): `*.v.com`, `**.v.com:8443`, `api.*.v.com`.
 * IPv6 stands with or without brackets, with them when a port follows: `[::1]:8443`. Throws `config_invalid`; the detail quotes the key.
 */
export function parseAllowListKey(text: string): AllowListKey {
  if (text.length > LONGEST_KEY) throw invalidKey(`${text.slice(0, 64)}…`, `it is longer than ${LONGEST_KEY} characters`);
  if (text.includes('://')) throw invalidKey(text, 'it is a URL; write its host alone, with ":PORT" where the port is not the default of the scheme');
  if (text.includes('/')) throw invalidKey(text, 'a host has no "/" in it; paths are listed under the key');
  const { host, port: portText } = splitPort(text);
  const port = portText === null ? null : asConfigError(text, () => parsePort(portText));
  const suffix = port === null ? '' : `:${port}`;
  if (host.includes('*')) {
    const labels = host.split('.').map((label) => readLabel(text, label));
    return { text: `${labels.join('.')}${suffix}`, labels: labels.reverse(), port, network: null, host: null };
  }
  const canonical = asConfigError(text, () => canonicalHost(host));
  if (canonical.kind === 'ipv4' && canonical.text !== host) {
    throw invalidKey(text, `"${host}" is another spelling of an IPv4 address; write "${canonical.text}${suffix}"`);
  }
  const bytes = parseIp(canonical.text);
  const compared = bytes === null ? canonical.text : formatIp(unmapped(bytes));
  const written = suffix === '' ? compared : `${canonical.kind === 'ipv6' && compared.includes(':') ? hostForUrl(canonical) : compared}${suffix}`;
  return { text: written, labels: hostLabels(compared), port, network: bytes === null ? null : networkOf(bytes), host: compared };
}

/**
 * Reads a path pattern: `*` is one whole segment that is not empty, `**` any number of whole segments, everything else literal and case-sensitive.
 * What it says may be written plainly or percent-encoded. A `**` at the front needs no slash before it.
 * Throws `config_invalid` for a wildcard beside other characters, and for a pattern that no path can match.
 */
export function parseAllowListPath(text: string): PathRule {
  if (text === '') throw invalidPath(text, 'it is empty and matches nothing; write "/" for the root, "/**" for every path');
  const rooted = /^\*\*(\/|$)/.test(text) ? `/${text}` : text;
  if (!rooted.startsWith('/')) throw invalidPath(text, 'every path begins with "/", so it can never match');
  for (const segment of rooted.split('/')) {
    if (segment.includes('*') && segment !== '*' && segment !== '**') {
      throw invalidPath(text, `in "${segment}" a wildcard stands beside something else; it has to be a whole segment, "*" or "**"`);
    }
  }
  // A request path has these characters in encoded form only, and `%` only where an escape begins.
  return compilePathRule(rooted.replace(/[ "#<>?^`{|}]|%(?![0-9A-Fa-f]{2})/g, (character) => encodeURIComponent(character)));
}

/** The labels of a canonical host, from the right. The colons of an IPv6 address are no borders. */
export function hostLabels(host: string): string[] {
  return host.includes(':') ? [host] : host.split('.').reverse();
}

function splitPort(text: string): { host: string; port: string | null } {
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    const after = text.slice(close + 1);
    if (close === -1 || (after !== '' && !after.startsWith(':'))) {
      throw invalidKey(text, 'after an opening bracket comes an IPv6 address, "]" and nothing or ":PORT"');
    }
    const host = text.slice(1, close);
    if (!host.includes(':')) throw invalidKey(text, 'brackets are for IPv6 only');
    return { host, port: after === '' ? null : after.slice(1) };
  }
  const colon = text.indexOf(':');
  if (colon === -1 || text.includes(':', colon + 1)) return { host: text, port: null };
  return { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

function readLabel(key: string, label: string): string {
  if (label === '*' || label === '**') return label;
  if (label.includes('*')) {
    throw invalidKey(key, `in "${label}" a wildcard stands beside something else; it has to be a whole label, "*" for one or "**" for any number`);
  }
  // With a name behind it a label of digits alone is not taken for an address.
  return asConfigError(key, () => canonicalHost(`${label}.invalid`)).text.slice(0, -'.invalid'.length);
}

/** The same sentence under the code of a configuration error: what is wrong is in a file, not in a request. */
function asConfigError<T>(key: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalidKey(key, error instanceof SallyportError ? error.message : String(error));
  }
}

function invalidKey(key: string, what: string): SallyportError {
  return new SallyportError('config_invalid', {
    detail: `The allow-list key ${JSON.stringify(key)} cannot be used: ${what}`,
    hint: 'Write an exact host, *.example.com for one label, **.example.com for any number, or an IP address, each with an optional :PORT.',
  });
}

function invalidPath(pattern: string, what: string): SallyportError {
  return new SallyportError('config_invalid', {
    detail: `The path pattern ${JSON.stringify(pattern)} cannot be used: ${what}`,
    hint: 'Write a path such as /v1/users/* or /v1/**: a "*" is one segment, a "**" any number of them.',
  });
}
