import { SallyportError } from '@sallyport/sdk';
import { type CanonicalHost, canonicalHost, hostForUrl, parsePort } from './canonical-host.js';
import { formatIp, parseIp, unmapped } from './ip-address.js';
import { type Network, networkOf, parseNetwork } from './network.js';

/** Which ports a pattern is for: one, `any` (written `:*`), or `default` (nothing written): 80 and 443, the ports of the two schemes. */
export type PortPattern = number | 'any' | 'default';

/** A host pattern, read. */
export type HostPattern = {
  /** The canonical spelling, with the port as written. */
  readonly text: string;
  readonly port: PortPattern;
} & (
  | { readonly kind: 'any' }
  /** One or more labels before `.suffix`; never the bare suffix, never an IP address. */
  | { readonly kind: 'suffix'; readonly suffix: string }
  /** CIDR: only hosts that are IP literals, an IPv4-mapped one as the IPv4 address in it. */
  | { readonly kind: 'network'; readonly network: Network }
  /** One host. `host` is the canonical text, that of the IPv4 address for a mapped one; `network` is set for an IP literal. */
  | { readonly kind: 'exact'; readonly host: string; readonly network: Network | null }
);

/**
 * Reads an exact name, `*.example.com`, `*`, an IPv4 or IPv6 literal or a CIDR, each with an optional `:PORT` or `:*`
 * (IPv6 in brackets when a port follows: `[::1]:8443`, `[fd00::/8]:*`). IDN is converted to its ASCII form.
 * Throws `config_invalid` for a `*` anywhere else, for `*.` before a single label, and for an IPv4 spelling that is not a dotted quad,
 * with the canonical one in the detail.
 */
export function parseHostPattern(text: string): HostPattern {
  if (text.includes('://')) throw invalid(text, 'it is a URL; write its host alone, with ":PORT" where the port is not 80 or 443');
  const { host, port: portText } = splitPort(text);
  const port = readPort(text, portText);
  const suffix = portText === null ? '' : `:${portText}`;
  if (host === '*') return { kind: 'any', text: `*${suffix}`, port };
  if (host.includes('/')) {
    const network = parseNetwork(host);
    const isBracketed = network.bytes.length === 16 && suffix !== '';
    return { kind: 'network', network, text: `${isBracketed ? `[${network.text}]` : network.text}${suffix}`, port };
  }
  if (host.includes('*')) {
    const domain = readWildcard(text, host);
    return { kind: 'suffix', suffix: domain, text: `*.${domain}${suffix}`, port };
  }
  const canonical = readHost(text, host);
  if (canonical.kind === 'ipv4' && canonical.text !== host) {
    throw invalid(text, `"${host}" is another spelling of an IPv4 address; write "${canonical.text}${suffix}"`);
  }
  const bytes = parseIp(canonical.text);
  const written = `${suffix === '' ? canonical.text : hostForUrl(canonical)}${suffix}`;
  if (bytes === null) return { kind: 'exact', host: canonical.text, network: null, text: written, port };
  return { kind: 'exact', host: formatIp(unmapped(bytes)), network: networkOf(bytes), text: written, port };
}

/** True when a pattern for these ports is for this port. */
export function portMatches(pattern: PortPattern, port: number): boolean {
  return pattern === 'any' || (pattern === 'default' ? port === 443 || port === 80 : pattern === port);
}

function splitPort(text: string): { host: string; port: string | null } {
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    const after = text.slice(close + 1);
    if (close === -1 || (after !== '' && !after.startsWith(':')))
      throw invalid(text, 'after an opening bracket comes an IPv6 address, "]" and nothing or ":PORT"');
    const host = text.slice(1, close);
    if (!host.includes(':')) throw invalid(text, 'brackets are for IPv6 only');
    return { host, port: after === '' ? null : after.slice(1) };
  }
  const colon = text.indexOf(':');
  if (colon === -1 || text.includes(':', colon + 1)) return { host: text, port: null };
  return { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

function readPort(text: string, port: string | null): PortPattern {
  if (port === null) return 'default';
  if (port === '*') return 'any';
  return asConfigError(text, () => parsePort(port));
}

function readWildcard(text: string, host: string): string {
  const rest = host.slice(2);
  if (!host.startsWith('*.') || rest.includes('*')) {
    throw invalid(text, 'a "*" stands for whole labels at the front, as in "*.example.com", or alone for every host');
  }
  const domain = readHost(text, rest);
  if (domain.kind !== 'name') throw invalid(text, 'an IP address has no labels to stand for; write a CIDR, as in "10.0.0.0/8"');
  if (!domain.text.includes('.'))
    throw invalid(text, `"*.${domain.text}" would match a whole top-level domain; name at least two labels after the "*."`);
  return domain.text;
}

function readHost(text: string, host: string): CanonicalHost {
  return asConfigError(text, () => canonicalHost(host));
}

/** The same sentence under the code of a configuration error: what is wrong is in a file, not in a request. */
function asConfigError<T>(text: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalid(text, error instanceof SallyportError ? error.message : String(error));
  }
}

function invalid(pattern: string, what: string): SallyportError {
  return new SallyportError('config_invalid', {
    detail: `The host pattern ${JSON.stringify(pattern)} cannot be read: ${what}`,
    hint: 'Write an exact name, *.example.com, *, an IP address or a CIDR, each with an optional :PORT or :* behind it.',
  });
}
