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
  readonly text: string;
}

/** Routes, the best first: a few, which are compared one by one, or hash tables of them. */
type Routes<T> = readonly Entry<T>[] | Tables<T>;

interface Tables<T> {
  /** Those that hold a better route come first. */
  readonly tables: readonly Table<T>[];
}

/** Routes whose keys are made of the same parts of the same texts. */
interface Table<T> {
  readonly parts: readonly Part[];
  /** The UTF-16 unit with which all its heads end, or all its tails begin; −1 when there is none. Mostly a border, by which other lengths are passed over. */
  readonly edge: number;
  /** The best rank in the table. */
  readonly rank: number;
  readonly buckets: ReadonlyMap<string, Routes<T>>;
}

/** Up to so many routes are compared sooner than they are told apart by a table. */
const FEW = 4;

/**
 * Values found by the best route for a call: the highest specificity, then the most literal fields, then the first that was added.
 *
 * Routes are kept in hash tables by their literal fields and by that literal end of a glob which the fewest others share; where still many are together,
 * by the next such end. There is one table for each combination of fields and lengths that occurs; so a search costs the same for 10 and for 10,000
 * routes, unless very many differ in nothing but the inside of their globs.
 */
export class RouteIndex<T> {
  readonly #entries: Entry<T>[] = [];
  #routes: Routes<T> | null = null;

  add(route: CompiledRoute, value: T): void {
    this.#entries.push({ route, value, rank: 0 });
    this.#routes = null;
  }

  /** The value of the best matching route; null when none matches. */
  find(context: TransactionContext): T | null {
    this.#routes ??= arranged(ranked(this.#entries));
    return best(this.#routes, new Subject(context), null)?.value ?? null;
  }
}

/** The best matching route, `known` or a better one. */
function best<T>(routes: Routes<T>, subject: Subject, known: Entry<T> | null): Entry<T> | null {
  if (!('tables' in routes)) {
    for (const entry of routes) {
      if (known !== null && known.rank < entry.rank) return known;
      if (routeMatches(entry.route, subject)) return entry;
    }
    return known;
  }
  let found = known;
  for (const table of routes.tables) {
    if (found !== null && found.rank < table.rank) return found;
    const bucket = bucketFor(table, subject);
    if (bucket !== null) found = best(bucket, subject, found);
  }
  return found;
}

function bucketFor<T>({ parts, edge, buckets }: Table<T>, subject: Subject): Routes<T> | null {
  let key = '';
  for (const part of parts) {
    const text = part.condition.dimension.read(subject);
    if (text === null || (edge >= 0 && part.cut !== 'all' && edgeOf(part, text) !== edge)) return null;
    key = extended(key, cutAs(part, text));
  }
  return buckets.get(key) ?? null;
}

// Two texts may be joined to the same key as two others: it only has to be rare, as every route in a bucket is still compared field by field.
function extended(key: string, text: string): string {
  return key === '' ? text : `${key}\n${text}`;
}

function cutAs({ cut, text: { length } }: Part, text: string): string {
  if (cut === 'all') return text;
  return cut === 'head' ? text.slice(0, length) : text.slice(-length);
}

/** The last unit of a head of `text`, or the first one of a tail; NaN when it is too short for either. */
function edgeOf({ cut, text: { length } }: Part, text: string): number {
  return text.charCodeAt(cut === 'head' ? length - 1 : text.length - length);
}

/** The best route first. */
function ranked<T>(entries: readonly Entry<T>[]): readonly Entry<T>[] {
  // The sort is stable, so the order of registration decides between equals.
  const ordered = [...entries].sort((a, b) => b.route.specificity - a.route.specificity || b.route.literals - a.route.literals);
  for (const [rank, entry] of ordered.entries()) entry.rank = rank;
  return ordered;
}

/** `entries`, the best first, in tables. `used` has the names of the parts that all of them have in common: they tell nothing apart any more. */
function arranged<T>(entries: readonly Entry<T>[], used: ReadonlySet<string> = new Set()): Routes<T> {
  if (entries.length <= FEW) return entries;
  const shared = new Map<string, number>();
  const left = entries.map(({ route }) => partsOf(route).filter((part) => !used.has(nameOf(part))));
  for (const part of left.flat()) shared.set(keyOf(part), (shared.get(keyOf(part)) ?? 0) + 1);
  const groups = new Map<string, { parts: readonly Part[]; edge: number; rank: number; buckets: Map<string, Entry<T>[]> }>();
  for (const [i, entry] of entries.entries()) {
    const parts = chosen(left[i] ?? [], shared);
    const name = JSON.stringify(parts.map((part) => [nameOf(part), part.cut === 'all' ? 0 : part.text.length]));
    const [first] = parts;
    const edge = first === undefined || first.cut === 'all' ? -1 : edgeOf(first, first.text);
    const group = groups.get(name) ?? { parts, edge, rank: entry.rank, buckets: new Map<string, Entry<T>[]>() };
    groups.set(name, group);
    if (group.edge !== edge) group.edge = -1;
    const key = parts.reduce((start, part) => extended(start, part.text), '');
    const bucket = group.buckets.get(key);
    if (bucket === undefined) group.buckets.set(key, [entry]);
    else bucket.push(entry);
  }
  const tables = Array.from(groups.values(), ({ parts, buckets, ...rest }): Table<T> => {
    const names = new Set([...used, ...parts.map(nameOf)]);
    const inner = (bucket: readonly Entry<T>[]): Routes<T> => (parts.length === 0 ? bucket : arranged(bucket, names));
    return { ...rest, parts, buckets: new Map(Array.from(buckets, ([key, bucket]) => [key, inner(bucket)])) };
  });
  return { tables };
}

/** The end of a glob that the fewest share, and all literal fields. */
function chosen(parts: readonly Part[], shared: ReadonlyMap<string, number>): readonly Part[] {
  const literals = parts.filter(({ cut }) => cut === 'all');
  const [rarest] = parts
    .filter(({ cut }) => cut !== 'all')
    .sort((a, b) => (shared.get(keyOf(a)) ?? 0) - (shared.get(keyOf(b)) ?? 0) || b.text.length - a.text.length);
  // Only one: with several, there would be as many tables as there are combinations of lengths.
  return rarest === undefined ? literals : [rarest, ...literals];
}

/** Everything literal about a route. */
function partsOf({ conditions }: CompiledRoute): readonly Part[] {
  return conditions.flatMap((condition): readonly Part[] => {
    const { literal, prefix, suffix } = condition.glob;
    if (literal !== null) return [{ condition, cut: 'all', text: literal }];
    const ends: readonly Part[] = [
      { condition, cut: 'head', text: prefix },
      { condition, cut: 'tail', text: suffix },
    ];
    return ends.filter(({ text }) => text !== '');
  });
}

function nameOf({ condition, cut }: Part): string {
  return `${cut} ${condition.dimension.name}`;
}

function keyOf(part: Part): string {
  return `${nameOf(part)}\n${part.text}`;
}
