import { SallyportError } from '@sallyport/sdk';
import { canonicalHost } from './canonical-host.js';
import { formatIp, parseIp, unmapped } from './ip-address.js';

/** A block of addresses. A block inside `::ffff:0:0/96` is kept as the IPv4 block that it stands for. */
export interface Network {
  /** Canonical, always with the prefix length: `10.0.0.0/8`, `fd00::/8`, `10.1.2.3/32`. */
  readonly text: string;
  /** The first address, 4 or 16 bytes in network order. */
  readonly bytes: Uint8Array;
  /** Bits that count: 0–32 or 0–128. */
  readonly prefix: number;
}

/**
 * Reads `10.0.0.0/8`, `10.1.2.3`, `fd00::/8` (an address alone is the network of that one address).
 * Throws `config_invalid` for anything else and for a network with host bits set, naming the canonical spelling where there is one.
 */
export function parseNetwork(text: string): Network {
  const slash = text.indexOf('/');
  const addressText = slash === -1 ? text : text.slice(0, slash);
  const bytes = parseIp(addressText);
  if (bytes === null)
    throw invalid(`"${text}" is not a network: "${addressText}" is not an IP address${suggestion(addressText, text.slice(addressText.length))}`);
  if (slash === -1) return networkOf(bytes);
  const prefixText = text.slice(slash + 1);
  const prefix = /^(?:0|[1-9][0-9]{0,2})$/.test(prefixText) ? Number(prefixText) : Number.NaN;
  const bits = bytes.length * 8;
  if (!(prefix <= bits)) throw invalid(`"${text}" is not a network: the prefix length after the slash goes from 0 to ${bits}`);
  const first = masked(bytes, prefix);
  if (first.some((byte, i) => byte !== bytes[i])) {
    throw invalid(
      `"${text}" has bits set behind its prefix; write "${formatIp(first)}/${prefix}" for the network or "${formatIp(bytes)}" for the address`,
    );
  }
  return makeNetwork(first, prefix);
}

/** The network that holds this address and no other. */
export function networkOf(bytes: Uint8Array): Network {
  return makeNetwork(bytes, bytes.length * 8);
}

/** True when the network holds exactly one address. */
export function namesOneAddress(network: Network): boolean {
  return network.prefix === network.bytes.length * 8;
}

/** True when the address lies in the network. Addresses are compared as given: unwrap an IPv4-mapped one first with `unmapped`. */
export function networkCovers(network: Network, address: Uint8Array): boolean {
  if (network.bytes.length !== address.length) return false;
  const whole = network.prefix >> 3;
  for (let i = 0; i < whole; i++) if (network.bytes[i] !== address[i]) return false;
  const rest = network.prefix & 7;
  return rest === 0 || (network.bytes[whole] ^ address[whole]) >> (8 - rest) === 0;
}

/** The address with every bit behind the prefix cleared. */
export function masked(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((byte, i) => byte & (0xff << Math.min(8, Math.max(0, (i + 1) * 8 - prefix))));
}

function makeNetwork(bytes: Uint8Array, prefix: number): Network {
  const inner = prefix >= 96 ? unmapped(bytes) : bytes;
  const length = inner === bytes ? prefix : prefix - 96;
  return { text: `${formatIp(inner)}/${length}`, bytes: inner, prefix: length };
}

function suggestion(addressText: string, rest: string): string {
  try {
    const host = canonicalHost(addressText);
    return host.kind === 'name' ? '' : `; write "${host.text}${rest}"`;
  } catch {
    return '';
  }
}

function invalid(detail: string): SallyportError {
  return new SallyportError('config_invalid', { detail });
}
