import { isZero } from './trace-parent.js';

/** FNV-1a with the offset basis and the prime of each width. */
const FNV_64 = { bits: 64, basis: 0xcbf29ce484222325n, prime: 0x100000001b3n } as const;
const FNV_128 = { bits: 128, basis: 0x6c62272e07bb014262b821756295c58dn, prime: 0x0000000001000000000000000000013bn } as const;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const HEX = /^[0-9a-f]{32}$/i;

/**
 * The trace that belongs to a correlation id: its own digits when it is a UUID or 32 hexadecimal digits, otherwise its FNV-1a hash. All who follow this
 * rule come to the same trace for the same id, without a word between them. 32 lower-case hexadecimal digits.
 */
export function traceIdOf(correlationId: string): string {
  if (UUID.test(correlationId) || HEX.test(correlationId)) {
    const digits = correlationId.replaceAll('-', '').toLowerCase();
    if (!isZero(digits)) return digits;
  }
  return hash(correlationId, FNV_128);
}

/** The span that a caller without a `traceparent` is taken to have: the FNV-1a hash of its correlation id, 16 lower-case hexadecimal digits. */
export function spanIdOf(correlationId: string): string {
  return hash(correlationId, FNV_64);
}

function hash(text: string, { bits, basis, prime }: { readonly bits: number; readonly basis: bigint; readonly prime: bigint }): string {
  let sum: bigint = basis;
  for (const byte of Buffer.from(text, 'utf8')) sum = BigInt.asUintN(bits, (sum ^ BigInt(byte)) * prime);
  const digits = sum.toString(16).padStart(bits / 4, '0');
  // Nothing hashes to zero that anybody knows of; as an id it would be none.
  return isZero(digits) ? digits.replace(/0$/, '1') : digits;
}
