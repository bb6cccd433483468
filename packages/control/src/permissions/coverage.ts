import { coversMatcher, type NamespaceMatcher } from '../namespaces/namespace-matcher.js';
import type { EntryParts } from './entry-parts.js';
import { type PathPattern, patternMatches, representativePaths } from './path-pattern.js';
import { spend, type WorkBudget } from './work-budget.js';

// More combinations than this are no honest grant; telling whether a union covers it is exponential in the worst case.
const MOST_COMBINATIONS = 256;
// What no list spells out: only a wildcard, or a member that is left out, reaches it.
const ANYTHING_ELSE = Symbol('anything else');
type Value = string | typeof ANYTHING_ELSE;

/** Which entries accept a value, a bit each: those of `any` accept every one. */
interface Acceptance {
  readonly any: bigint;
  readonly named: ReadonlyMap<Value, bigint>;
}

/** What the entries of a granter accept, by value, so that asking costs the same however many entries there are. */
export interface Coverage {
  readonly namespaces: readonly (readonly [NamespaceMatcher, bigint])[];
  readonly resources: Acceptance;
  readonly verbs: Acceptance;
  readonly ids: Acceptance;
  readonly methods: Acceptance;
  /** Entries without paths. */
  readonly anyPath: bigint;
  readonly paths: readonly (readonly [PathPattern, bigint])[];
}

/** Prepares the entries of a granter for {@link coversEntry}. */
export function coverageOf(entries: readonly EntryParts[]): Coverage {
  const bits = entries.map((parts, index) => ({ parts, bit: 1n << BigInt(index) }));
  const acceptance = (valuesOf: (parts: EntryParts) => ReadonlySet<string> | null): Acceptance => {
    let any = 0n;
    const named = new Map<Value, bigint>();
    for (const { parts, bit } of bits) {
      const values = valuesOf(parts);
      if (values === null) any |= bit;
      else for (const value of values) named.set(value, (named.get(value) ?? 0n) | bit);
    }
    return { any, named };
  };
  return {
    namespaces: bits.flatMap(({ parts: { namespace }, bit }) => (namespace === null ? [] : [[namespace, bit] as const])),
    resources: acceptance(({ resources }) => (resources.has('*') ? null : resources)),
    verbs: acceptance(({ verbs }) => (verbs.has('*') ? null : verbs)),
    ids: acceptance(({ ids }) => ids),
    methods: acceptance(({ methods }) => methods),
    anyPath: bits.reduce((set, { parts, bit }) => (parts.paths === null ? set | bit : set), 0n),
    paths: bits.flatMap(({ parts, bit }) => (parts.paths ?? []).map((pattern) => [pattern, bit] as const)),
  };
}

/**
 * Whether the granter's entries together allow all that one entry does. Each member of the entry is reduced to the values that are hardest to cover,
 * each value to the set of granter's entries that accept it. The entry is covered exactly when no choice of values leaves an empty set. Larger sets
 * that contain a smaller one decide nothing and are dropped. False also when the budget does not suffice to tell.
 */
export function coversEntry(granter: Coverage, grant: EntryParts, budget: WorkBudget): boolean {
  const { namespace } = grant;
  if (namespace === null) return true;
  // Among the namespaces of a subtree, a child of nobody's is the hardest: whoever reaches it reaches all of them.
  const reaching = granter.namespaces.reduce((set, [matcher, bit]) => (coversMatcher(matcher, namespace) ? set | bit : set), 0n);
  let combinations: readonly bigint[] = [reaching];
  for (const sets of dimensions(granter, grant, reaching, budget)) {
    const needed = sets === null ? null : smallest(sets, budget);
    if (needed === null || !spend(budget, needed.length * combinations.length)) return false;
    const next = smallest(new Set(needed.flatMap((accepting) => combinations.map((combination) => combination & accepting))), budget);
    if (next === null || next.includes(0n)) return false;
    combinations = next;
  }
  return true;
}

/** The sets of entries that accept the values of each member; null where the budget ends. */
function* dimensions(granter: Coverage, grant: EntryParts, reaching: bigint, budget: WorkBudget): Generator<ReadonlySet<bigint> | null> {
  const accepting = ({ any, named }: Acceptance, values: readonly Value[]): ReadonlySet<bigint> | null => {
    return spend(budget, values.length) ? new Set(values.map((value) => (any | (named.get(value) ?? 0n)) & reaching)) : null;
  };
  yield accepting(granter.resources, hardest(grant.resources));
  yield accepting(granter.verbs, hardest(grant.verbs));
  yield accepting(granter.ids, hardest(grant.ids));
  if (grant.methods === null && grant.paths === null) {
    // It allows what is not sent anywhere, which no entry with methods or paths does; and whoever allows that allows what is sent too.
    yield new Set([granter.methods.any & granter.anyPath & reaching]);
    return;
  }
  yield accepting(granter.methods, hardest(grant.methods));
  // Any path, those included that no pattern matches because servers read them differently.
  yield grant.paths === null ? new Set([granter.anyPath & reaching]) : acceptingPaths(granter, grant.paths, reaching, budget);
}

function acceptingPaths(granter: Coverage, paths: readonly PathPattern[], reaching: bigint, budget: WorkBudget): ReadonlySet<bigint> | null {
  const patterns = granter.paths.filter(([, bit]) => (bit & reaching) !== 0n);
  const depth = patterns.reduce((most, [{ segments }]) => Math.max(most, segments.length), 0);
  const segments = patterns.reduce((sum, [pattern]) => sum + pattern.segments.length + 1, 0);
  const sets = new Set<bigint>();
  for (const path of paths) {
    const representatives = path.tail ? Math.max(depth - path.segments.length, 0) + 2 : 1;
    // Each of them is made, and compared with every pattern.
    if (!spend(budget, representatives * (segments + Math.max(depth, path.segments.length) + 2))) return null;
    for (const representative of representativePaths(path, depth)) {
      sets.add(patterns.reduce((set, [pattern, bit]) => (patternMatches(pattern, representative) ? set | bit : set), granter.anyPath) & reaching);
    }
  }
  return sets;
}

function hardest(values: ReadonlySet<string> | null): readonly Value[] {
  return values === null || values.has('*') ? [ANYTHING_ELSE] : [...values];
}

function smallest(distinct: ReadonlySet<bigint>, budget: WorkBudget): readonly bigint[] | null {
  if (distinct.has(0n)) return [0n];
  if (distinct.size > MOST_COMBINATIONS || !spend(budget, distinct.size ** 2)) return null;
  const sets = [...distinct];
  return sets.filter((set) => !sets.some((other) => other !== set && (other & set) === other));
}
