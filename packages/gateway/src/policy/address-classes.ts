import { type Network, networkCovers, parseNetwork } from './network.js';

/**
 * What an address is for. Only `global` may be called unasked. `embedded` is an IPv6 form that carries an IPv4 address to a translator or relay;
 * `invalid` is a text that is no address.
 */
export type AddressClass =
  | 'global'
  | 'loopback'
  | 'unspecified'
  | 'private'
  | 'link-local'
  | 'metadata'
  | 'cgnat'
  | 'multicast'
  | 'broadcast'
  | 'reserved'
  | 'benchmark'
  | 'documentation'
  | 'embedded'
  | 'invalid';

/** The most specific known range that holds an address. */
export interface AddressRange {
  readonly class: AddressClass;
  readonly network: Network;
}

/** An IPv4 address found inside an IPv6 one, and the name of the form that carries it. */
export interface EmbeddedIpv4 {
  readonly form: string;
  readonly bytes: Uint8Array;
}

// From the IANA special-purpose registries (RFC 6890) and, for `metadata`, from the documentation of the clouds. The longest prefix wins.
const RANGES: readonly AddressRange[] = [
  ...ranges('global', '0.0.0.0/0'),
  ...ranges('unspecified', '0.0.0.0/32', '::/128'),
  ...ranges('loopback', '127.0.0.0/8', '::1/128'),
  ...ranges('private', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'),
  ...ranges('link-local', '169.254.0.0/16', 'fe80::/10', 'fec0::/10'),
  ...ranges('cgnat', '100.64.0.0/10'),
  ...ranges('multicast', '224.0.0.0/4', 'ff00::/8'),
  ...ranges('broadcast', '255.255.255.255/32'),
  ...ranges('benchmark', '198.18.0.0/15', '2001:2::/48'),
  ...ranges('documentation', '192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20'),
  ...ranges('reserved', '0.0.0.0/8', '192.0.0.0/24', '192.88.99.0/24', '240.0.0.0/4'),
  // Nothing outside 2000::/3 is given out for the Internet, and of 2001::/23 only what has its own line.
  ...ranges('reserved', '::/0', '100::/64', '2001::/23', '5f00::/16'),
  ...ranges('global', '2000::/3', '2001:4:112::/48'),
  // AWS, GCP, Azure and OpenStack; ECS tasks; EKS Pod Identity.
  ...ranges('metadata', '169.254.169.254', 'fe80::a9fe:a9fe', 'fd20:ce::254', '169.254.170.2', '169.254.170.23', 'fd00:ec2::/32'),
  // Azure WireServer, Alibaba, Oracle.
  ...ranges('metadata', '168.63.129.16', '100.100.100.200', '192.0.0.192'),
  // Compatible, translated (RFC 2765), NAT64 and its local-use prefix (RFC 6052, 8215), 6to4, Teredo.
  ...ranges('embedded', '::/96', '::ffff:0:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16', '2001::/32'),
].sort((a, b) => b.network.prefix - a.network.prefix);

/** The most specific range that holds the address. An IPv4-mapped address has to be unwrapped first. */
export function rangeOf(bytes: Uint8Array): AddressRange {
  // The two default routes are in the table, so that there always is one.
  return RANGES.find((range) => networkCovers(range.network, bytes)) as AddressRange;
}

/**
 * Every IPv4 address that an IPv6 one can lead to, by any of the forms that carry one; none for an IPv4 address.
 * In the local-use NAT64 prefix the address is read where a /96 translator puts it.
 */
export function embeddedIpv4(bytes: Uint8Array): readonly EmbeddedIpv4[] {
  if (bytes.length === 4) return [];
  const found: EmbeddedIpv4[] = [];
  const range = rangeOf(bytes);
  if (range.class === 'embedded') {
    if (range.network.text === '2002::/16') found.push({ form: '6to4', bytes: bytes.subarray(2, 6) });
    else if (range.network.text === '2001::/32') {
      found.push({ form: 'Teredo (server)', bytes: bytes.subarray(4, 8) });
      found.push({ form: 'Teredo (client)', bytes: bytes.subarray(12).map((byte) => byte ^ 0xff) });
    } else found.push({ form: range.network.text.startsWith('64:') ? 'NAT64' : 'IPv4-compatible', bytes: bytes.subarray(12) });
  }
  // An ISATAP interface id (RFC 5214 §6.1) can stand behind any prefix.
  if ((bytes[8] & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe)
    found.push({ form: 'ISATAP', bytes: bytes.subarray(12) });
  return found;
}

function ranges(addressClass: AddressClass, ...networks: readonly string[]): AddressRange[] {
  return networks.map((text) => ({ class: addressClass, network: parseNetwork(text) }));
}
