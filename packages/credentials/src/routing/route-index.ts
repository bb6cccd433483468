import type { TransactionContext } from '@sallyport/sdk';
import { type CompiledRoute, type Condition, routeMatches, Subject } from './route.js';

interface Entry<T> {
  readonly route: CompiledRoute;
  readonly value: T;
  /** Its place among all routes, the best one first. */
  rank: number;
}

/** What of a text goes into the key: all of it, or so many characters of one end. */
interface Part {
  readonly condition: Condition;
  readonly cut: 'all' | 'head' | 'tail';
  readonly length: number;
}

/** Routes whose keys are made of the same parts of the same texts. */
interface Group<T> {
  readonly parts: readonly Part[];
  /** The best rank in the group. */
  rank: number;
  readonly buckets: Map<string, Entry<T>[]>;
}

/**
 * Values found by the best route for a call: the highest specificity, then the most literal fields, then the first that was added.
 *
 * Routes are kept in hash tables by their literal fields and by the longest literal end of one glob, one table for each combination of fields that
 * occurs; so a search costs the same for 10 and for 10,000 routes, unless very many differ in nothing but the inside of their globs.
 */
export class RouteIndex<T> {
  readonly #entries: Entry<T>[] = [];
  #groups: readonly Group<T>[] | null = null;

  add(route: CompiledRoute, value: T): void {
    this.#entries.push({ route, value, rank: 0 });
    this.#groups = null;
  }

  /** The value of the best matching route; null when none matches. */
  find(context: TransactionContext): T | null {
    this.#groups ??= grouped(this.#entries);
    const subject = new Subject(context);
    let best: Entry<T> | null = null;
    for (const group of this.#groups) {
      if (best !== null && best.rank < group.rank) break;
      for (const entry of bucketFor(group, subject)) {
        if (best !== null && best.rank < entry.rank) break;
        if (!routeMatches(entry.route, subject)) continue;
        best = entry;
        break;
      }
    }
    return best === null ? null : best.value;
  }
}

const NOTHING: readonly never[] = [];

function bucketFor<T>(group: Group<T>, subject: Subject): readonly Entry<T>[] {
  let key = '';
  for (const part of group.parts) {
    const text = part.condition.dimension.read(subject);
    if (text === null) return NOTHING;
    key = extended(key, cut(part, text));
  }
  return group.buckets.get(key) ?? NOTHING;
}

// Two texts may be joined to the same key as two others: it only has to be rare, as every route in a bucket is still compared field by field.
function extended(key: string, text: string): string {
  return key === '' ? text : `${key}\n${text}`;
}

function cut({ cut: kind, length }: Part, text: string): string {
  if (kind === 'all') return text;
  return kind === 'head' ? text.slice(0, length) : text.slice(-length);
}

/** The groups of all routes, those that hold a better route first, and the best first in each bucket. */
function grouped<T>(entries: Entry<T>[]): readonly Group<T>[] {
  // The sort is stable, so the order of registration decides between equals.
  const ordered = [...entries].sort((a, b) => b.route.specificity - a.route.specificity || b.route.literals - a.route.literals);
  const groups = new Map<string, Group<T>>();
  for (const [rank, entry] of ordered.entries()) {
    entry.rank = rank;
    const parts = partsOf(entry.route.conditions);
    const name = JSON.stringify(parts.map((part) => [part.condition.dimension.name, part.cut, part.length]));
    const group = groups.get(name) ?? { parts, rank, buckets: new Map<string, Entry<T>[]>() };
    groups.set(name, group);
    const key = parts.reduce((start, part) => extended(start, literalEnd(part)), '');
    const bucket = group.buckets.get(key);
    if (bucket === undefined) group.buckets.set(key, [entry]);
    else bucket.push(entry);
  }
  return [...groups.values()];
}

function partsOf(conditions: readonly Condition[]): readonly Part[] {
  const parts: Part[] = [];
  let longest: Part | null = null;
  for (const condition of conditions) {
    const { literal, prefix, suffix } = condition.glob;
    const length = Math.max(prefix.length, suffix.length);
    if (literal !== null) parts.push({ condition, cut: 'all', length: 0 });
    else if (length > (longest?.length ?? 0)) longest = { condition, cut: prefix.length === length ? 'head' : 'tail', length };
  }
  // Only one: with several, there would be as many tables as there are combinations of lengths.
  return longest === null ? parts : [...parts, longest];
}

function literalEnd({ condition: { glob }, cut: kind }: Part): string {
  if (kind === 'all') return glob.literal ?? '';
  return kind === 'head' ? glob.prefix : glob.suffix;
}
