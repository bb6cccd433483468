import { type AddressClass, embeddedIpv4, rangeOf } from './address-classes.js';
import { parseIp, unmapped } from './ip-address.js';
import { type Network, namesOneAddress, networkCovers } from './network.js';

/** Whether an address may be dialed. `reason` is a clause without the address itself, so that a refusal does not map an internal network. */
export type AddressVerdict =
  | { readonly allowed: true; readonly class: AddressClass }
  | { readonly allowed: false; readonly class: AddressClass; readonly reason: string };

/**
 * Judges one resolved address, in the strict spelling that a resolver answers. Allowed is what is `global`, and what `permits` covers:
 *
 * - A metadata address needs a permit that names exactly that address; a broader range never covers one.
 * - An IPv4-mapped address is judged as the IPv4 address in it, which is what the kernel dials.
 * - An IPv6 form that carries an IPv4 address (compatible, NAT64, 6to4, Teredo, ISATAP) needs a permit for the form *and* for every address in it
 *   that is not global, or one that names exactly this address.
 *
 * A text that is no address is denied. Never throws.
 */
export function judgeAddress(address: string, permits: readonly Network[]): AddressVerdict {
  const parsed = parseIp(address);
  if (parsed === null) return { allowed: false, class: 'invalid', reason: 'not an IP address' };
  const bytes = unmapped(parsed);
  const embedded = embeddedIpv4(bytes);
  if (embedded.length === 0) return judgeRange(bytes, permits);
  if (isNamedExactly(bytes, permits)) return { allowed: true, class: 'embedded' };
  for (const inner of embedded) {
    const verdict = judgeRange(inner.bytes, permits);
    if (!verdict.allowed) return { ...verdict, reason: `the ${inner.form} form of ${verdict.reason}` };
  }
  const outer = judgeRange(bytes, permits);
  if (!outer.allowed && outer.class !== 'embedded') return outer;
  // Not `outer.allowed`: ISATAP can hide behind a prefix that is global by itself.
  if (permits.some((permit) => networkCovers(permit, bytes))) return { allowed: true, class: 'embedded' };
  return { allowed: false, class: 'embedded', reason: `the ${embedded.map((inner) => inner.form).join(' and ')} form of an IPv4 address` };
}

function judgeRange(bytes: Uint8Array, permits: readonly Network[]): AddressVerdict {
  const range = rangeOf(bytes);
  if (range.class === 'global') return { allowed: true, class: 'global' };
  if (range.class === 'metadata') {
    if (isNamedExactly(bytes, permits)) return { allowed: true, class: 'metadata' };
    return { allowed: false, class: 'metadata', reason: 'a metadata address, which only a rule that names exactly this address permits' };
  }
  if (permits.some((permit) => networkCovers(permit, bytes))) return { allowed: true, class: range.class };
  return { allowed: false, class: range.class, reason: `${PHRASES[range.class]} (${range.network.text})` };
}

function isNamedExactly(bytes: Uint8Array, permits: readonly Network[]): boolean {
  return permits.some((permit) => namesOneAddress(permit) && networkCovers(permit, bytes));
}

const PHRASES: Readonly<Record<AddressClass, string>> = {
  global: 'a global address',
  loopback: 'a loopback address',
  unspecified: 'the unspecified address',
  private: 'a private address',
  'link-local': 'a link-local address',
  metadata: 'a metadata address',
  cgnat: 'a carrier-grade NAT address',
  multicast: 'a multicast address',
  broadcast: 'the broadcast address',
  reserved: 'a reserved address',
  benchmark: 'a benchmarking address',
  documentation: 'a documentation address',
  embedded: 'an IPv6 form of an IPv4 address',
  invalid: 'not an IP address',
};
