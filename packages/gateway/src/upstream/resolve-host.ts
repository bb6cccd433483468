import { lookup } from 'node:dns';
import { isIP } from 'node:net';

/** Takes every address of a host in the order of the resolver, or what the resolver answered instead. */
export type Resolved = (error: NodeJS.ErrnoException | null, addresses: readonly string[]) => void;

/** Resolves a canonical host: an IP address is its own, a name in `hosts` has the address that is given there, and for any other the system is asked. */
export function resolveHost(host: string, hosts: ReadonlyMap<string, string>, done: Resolved): void {
  const known = isIP(host) === 0 ? hosts.get(host) : host;
  if (known !== undefined) {
    done(null, [known]);
    return;
  }
  lookup(host, { all: true, verbatim: true }, (error, found) => done(error, error === null ? found.map((entry) => entry.address) : []));
}
