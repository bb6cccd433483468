import { isIP } from 'node:net';
import { SallyportError } from '@sallyport/sdk';
import { isHostName } from '../host-name.js';

const MOST_HOSTS = 100;

/**
 * The hosts that certificates are asked for, in lower case, each once; the first is that of clients that ask for none. Only these: a name that a
 * client made up never leads to an order. Throws `server_tls_invalid` with the entry and what is wrong with it.
 */
export function readHosts(entries: readonly string[]): readonly [string, ...string[]] {
  const hosts = new Set<string>();
  for (const entry of entries) {
    const host = entry.toLowerCase();
    const problem = problemWith(host);
    if (problem !== null) throw invalid(`The host ${JSON.stringify(entry)} cannot be served with ACME: ${problem}.`);
    hosts.add(host);
  }
  if (hosts.size > MOST_HOSTS) throw invalid(`There are ${hosts.size} hosts, and ${MOST_HOSTS} are the most.`);
  const [first, ...rest] = hosts;
  if (first === undefined) throw invalid('`hosts` is empty.');
  return [first, ...rest];
}

function problemWith(host: string): string | null {
  if (isIP(host) !== 0) return 'it is an address, and authorities certify names';
  if (host.startsWith('*.')) return 'wildcards need a challenge in the DNS; list the hosts one by one';
  if (!isHostName(host)) return 'it is no host name in ASCII form';
  return host.includes('.') ? null : 'it has one label only, which no authority knows';
}

function invalid(detail: string): SallyportError {
  return new SallyportError('server_tls_invalid', { detail });
}
