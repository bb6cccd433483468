import { isIPv4, isIPv6 } from 'node:net';

/**
 * The bytes of an address in network order, 4 or 16 of them; null when the text is not one. Only the strict spellings of `inet_pton` are read:
 * no octal or short IPv4, no zone, no brackets. Never throws.
 */
export function parseIp(text: string): Uint8Array | null {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  // Node takes a zone for part of an IPv6 address.
  if (!isIPv6(text) || text.includes('%')) return null;
  // By hand because ipaddr.js 2.5 reads the compatible `::10.1.2.3` as the mapped `::ffff:10.1.2.3`, which is another address to the kernel.
  const [head, tail] = text.split('::').map(readGroups);
  if (tail === undefined) return Uint8Array.from(head);
  const bytes = new Uint8Array(16);
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** The canonical text of 4 or 16 bytes: a dotted quad, or RFC 5952 in lower case, without brackets and without a dotted tail. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] << 8) | bytes[2 * i + 1]).toString(16));
  const { start, length } = longestZeros(groups);
  if (length < 2) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}

/** The IPv4 address inside an IPv4-mapped one (`::ffff:0:0/96`), which the kernel dials as plain IPv4; any other address as it is. */
export function unmapped(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 4 || bytes[10] !== 0xff || bytes[11] !== 0xff) return bytes;
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return bytes;
  return bytes.subarray(12);
}

/** The bytes of groups between colons, the last of which may be a dotted quad. */
function readGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** The first of the longest runs of zero groups. */
function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [i, group] of groups.entries()) {
    if (group !== '0') start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  }
  return best;
}
