import type { HostPattern, PortPattern } from './host-pattern.js';
import { portMatches } from './host-pattern.js';
import { formatIp, parseIp, unmapped } from './ip-address.js';
import { masked } from './network.js';

/** What was added to a table: a value and the pattern that it is for. */
export interface HostTableEntry<T> {
  readonly pattern: HostPattern;
  readonly value: T;
}

interface Ranked<T> extends HostTableEntry<T> {
  /** Smaller is more specific. */
  readonly rank: number;
  readonly order: number;
}

/**
 * Answers remembered per host and port. When there are too many, all are forgotten: they are cheap to find again, and a map without an order to keep
 * is the cheapest to read, which happens twice for every request.
 */
const REMEMBERED = 4096;

/**
 * Values found by host and port, most specific pattern first: an exact host, a wildcard by the length of its suffix, a CIDR by its prefix length, `*`;
 * within each a written port before the default ports before `:*`; then in the order of insertion.
 * A lookup costs the same for 10 and for 10,000 patterns: one map read when the answer is remembered, otherwise one per label of the host.
 */
export class HostTable<T> {
  readonly #exact = new Map<string, Ranked<T>[]>();
  readonly #suffixes = new Map<string, Ranked<T>[]>();
  /** By address length and prefix length, then by the masked address; at most 33 + 129 inner maps, whatever the number of patterns. */
  readonly #networks = new Map<string, Map<string, Ranked<T>[]>>();
  readonly #any: Ranked<T>[] = [];
  readonly #remembered = new Map<string, Map<number, readonly T[]>>();
  #rememberedCount = 0;
  #size = 0;

  /** Adds a value. The same pattern may be added any number of times. */
  add(pattern: HostPattern, value: T): void {
    this.#bucket(pattern).push({ pattern, value, rank: patternRank(pattern), order: this.#size++ });
    this.#forget();
  }

  /** The values of every pattern that matches. `host` is canonical text (IPv6 without brackets). The array is frozen and shared between calls. */
  lookup(host: string, port: number): readonly T[] {
    const known = this.#remembered.get(host)?.get(port);
    if (known !== undefined) return known;
    const values = this.entriesFor(host)
      .filter((entry) => portMatches(entry.pattern.port, port))
      .map((entry) => entry.value);
    const answer = values.length === 0 ? NOTHING : Object.freeze(values);
    this.#remember(host, port, answer);
    return answer;
  }

  /** Every entry whose pattern matches the host on some port, in the order of `lookup`. Not remembered: it serves explanations. */
  entriesFor(host: string): readonly HostTableEntry<T>[] {
    const buckets: (readonly Ranked<T>[] | undefined)[] = [this.#any];
    const parsed = parseIp(host);
    if (parsed === null) {
      buckets.push(this.#exact.get(host));
      for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) buckets.push(this.#suffixes.get(host.slice(dot + 1)));
    } else {
      const bytes = unmapped(parsed);
      buckets.push(this.#exact.get(formatIp(bytes)));
      for (let prefix = bytes.length * 8; prefix >= 0; prefix--) {
        buckets.push(this.#networks.get(`${bytes.length}/${prefix}`)?.get(formatIp(masked(bytes, prefix))));
      }
    }
    const found = buckets.flatMap((ranked) => ranked ?? []);
    return found.sort((a, b) => a.rank - b.rank || a.order - b.order);
  }

  #remember(host: string, port: number, answer: readonly T[]): void {
    if (this.#rememberedCount === REMEMBERED) this.#forget();
    this.#rememberedCount++;
    const ofHost = this.#remembered.get(host);
    if (ofHost === undefined) this.#remembered.set(host, new Map([[port, answer]]));
    else ofHost.set(port, answer);
  }

  #forget(): void {
    this.#remembered.clear();
    this.#rememberedCount = 0;
  }

  #bucket(pattern: HostPattern): Ranked<T>[] {
    switch (pattern.kind) {
      case 'any':
        return this.#any;
      case 'exact':
        return bucket(this.#exact, pattern.host);
      case 'suffix':
        return bucket(this.#suffixes, pattern.suffix);
      case 'network': {
        const { bytes, prefix } = pattern.network;
        const key = `${bytes.length}/${prefix}`;
        const networks = this.#networks.get(key) ?? new Map<string, Ranked<T>[]>();
        this.#networks.set(key, networks);
        return bucket(networks, formatIp(bytes));
      }
    }
  }
}

const NOTHING: readonly never[] = Object.freeze([]);

function bucket<T>(map: Map<string, T[]>, key: string): T[] {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made: T[] = [];
  map.set(key, made);
  return made;
}

/** How specific a pattern is among those for the same host: smaller is more specific. */
export function patternRank(pattern: HostPattern): number {
  return hostRank(pattern) * 3 + portRank(pattern.port);
}

function hostRank(pattern: HostPattern): number {
  switch (pattern.kind) {
    case 'exact':
      return 0;
    // A name has at most 253 characters, a prefix at most 128 bits; names and networks never match the same host.
    case 'suffix':
      return 254 - pattern.suffix.length;
    case 'network':
      return 129 - pattern.network.prefix;
    case 'any':
      return 1000;
  }
}

function portRank(port: PortPattern): number {
  return port === 'any' ? 2 : port === 'default' ? 1 : 0;
}
