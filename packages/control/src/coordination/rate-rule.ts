import { createHash } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';

/** How much is allowed in how long. */
export interface RateRule {
  /** Points in one window, a billion at most. */
  readonly limit: number;
  /** Whole seconds, a week at most. Windows follow each other; where one of a key begins is up to the limiter. */
  readonly windowSeconds: number;
}

/** The rules of one limiter by their names, which clients see in the header fields. */
export type RateRules<Name extends string> = Readonly<Record<Name, RateRule>>;

/** What a limiter says to one request. */
export interface RateAnswer {
  readonly allowed: boolean;
  readonly limit: number;
  /** Points that are left in the window. */
  readonly remaining: number;
  /** When the window ends, from now. */
  readonly resetMs: number;
}

const NAME = /^[a-z][a-z0-9_-]{0,62}$/;
const MAX_LIMIT = 1_000_000_000;
const MAX_WINDOW_SECONDS = 7 * 24 * 60 * 60;

/** Throws for a name that cannot stand in a header field, and for limits and windows that are not whole numbers in their bounds. */
export function checkRules(rules: RateRules<string>): void {
  for (const [name, { limit, windowSeconds }] of Object.entries(rules)) {
    const valid = isWhole(limit, MAX_LIMIT) && isWhole(windowSeconds, MAX_WINDOW_SECONDS);
    if (!NAME.test(name) || !valid) throw new RangeError(`The rate rule "${name}" is not valid.`);
  }
}

function isWhole(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= most;
}

/** What a key is called where it is counted: as long as any other, and it does not show who it is. 96 bits: nobody finds two that collide. */
export function digestKey(rule: string, key: string): string {
  return createHash('sha256').update(`${rule}\0${key}`).digest('base64url').slice(0, 16);
}

const GROUPS_OF_A_NETWORK = 4;
const ALL_GROUPS = 8;

/**
 * The key for who comes from this address (`remoteAddress` of a socket): IPv4 as it is, also when it is mapped into IPv6, and the /64 of IPv6,
 * because whoever has one address of it has all. What is no address is one key, so that it is counted too.
 */
export function addressKey(address: string | undefined): string {
  const [plain = ''] = (address ?? '').split('%');
  if (isIPv4(plain)) return plain;
  if (!isIPv6(plain)) return 'unknown';
  const groups = groupsOf(plain);
  const [high = 0, low = 0] = groups.slice(-2);
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (mapped) return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
  return `${groups
    .slice(0, GROUPS_OF_A_NETWORK)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** The eight groups of an IPv6 address without zone. */
function groupsOf(address: string): readonly number[] {
  // The parser of URLs knows all spellings, also the one that ends in a dotted quad.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [before = '', after] = canonical.split('::');
  const first = numbersOf(before);
  if (after === undefined) return first;
  const last = numbersOf(after);
  return [...first, ...Array.from({ length: ALL_GROUPS - first.length - last.length }, () => 0), ...last];
}

function numbersOf(groups: string): readonly number[] {
  return groups === '' ? [] : groups.split(':').map((group) => Number.parseInt(group, 16));
}
