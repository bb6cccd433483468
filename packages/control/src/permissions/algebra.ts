import { coversMatcher, formatNamespaceMatcher, intersectMatchers, type NamespaceMatcher } from '../namespaces/namespace-matcher.js';
import { formatPathPattern, intersectPatterns, type PathPattern, parsePathPattern, patternMatches, representativePaths } from './path-pattern.js';
import { entriesOf, type Permission, type Permissions, permissionsOf } from './permission.js';
import { readMatcher } from './read-matcher.js';

// What no list spells out: only a wildcard, or a member that is left out, reaches it.
const ANYTHING_ELSE = Symbol('anything else');
type Value = string | typeof ANYTHING_ELSE;

// More combinations than this are no honest grant; telling whether a union covers it is exponential in the worst case.
const MOST_COMBINATIONS = 4096;
const MOST_TO_ABSORB = 256;

/**
 * True exactly when every request that `grant` allows is allowed by `granter`, if need be by several of its entries together. A grant so intricate
 * that this cannot be told within bounds counts as not covered.
 */
export function covers(granter: Permissions, grant: Permissions): boolean {
  const entries = entriesOf(granter).map(decompose);
  return entriesOf(grant).every((entry) => coversEntry(entries, decompose(entry)));
}

/** The requests that both allow. Nothing in common is «nothing», never an empty list that could be read as no limit. */
export function intersect(a: Permissions, b: Permissions): Permissions {
  const found = new Map<string, Permission>();
  for (const left of entriesOf(a)) {
    for (const right of entriesOf(b)) {
      const entry = intersectEntries(left, right);
      if (entry !== null) found.set(JSON.stringify(entry), entry);
    }
  }
  return permissionsOf(absorb([...found.values()]));
}

interface Parts {
  readonly namespace: NamespaceMatcher | null;
  readonly resources: ReadonlySet<Value>;
  readonly verbs: ReadonlySet<Value>;
  readonly ids: ReadonlySet<Value> | null;
  readonly methods: ReadonlySet<Value> | null;
  readonly paths: readonly PathPattern[] | null;
}

function decompose(entry: Permission): Parts {
  return {
    namespace: readMatcher(entry.namespace),
    resources: new Set(entry.resources),
    verbs: new Set(entry.verbs),
    ids: entry.resource_ids === undefined ? null : new Set(entry.resource_ids),
    methods: entry.methods === undefined ? null : new Set(entry.methods),
    paths: entry.paths === undefined ? null : entry.paths.flatMap((path) => parsePathPattern(path) ?? []),
  };
}

/**
 * Each member of the grant is reduced to the values that are hardest to cover, each value to the set of granter's entries that accept it (a bit each).
 * The grant is covered exactly when no choice of values leaves an empty set. Larger sets that contain a smaller one decide nothing and are dropped.
 */
function coversEntry(granter: readonly Parts[], grant: Parts): boolean {
  const { namespace } = grant;
  if (namespace === null) return true;
  // Among the namespaces of a subtree, a child of nobody's is the hardest: whoever reaches it reaches all of them.
  const entries = granter.filter((entry) => entry.namespace !== null && coversMatcher(entry.namespace, namespace));
  let combinations: readonly bigint[] = [bits(entries, () => true)];
  for (const values of dimensions(entries, grant)) {
    combinations = smallest(values.flatMap((accepting) => combinations.map((combination) => combination & accepting)));
    if (combinations.includes(0n) || combinations.length > MOST_COMBINATIONS) return false;
  }
  return true;
}

function* dimensions(entries: readonly Parts[], grant: Parts): Generator<readonly bigint[]> {
  yield smallest(hardest(grant.resources).map((value) => bits(entries, (entry) => accepts(entry.resources, value))));
  yield smallest(hardest(grant.verbs).map((value) => bits(entries, (entry) => accepts(entry.verbs, value))));
  yield smallest(hardest(grant.ids).map((value) => bits(entries, (entry) => entry.ids === null || entry.ids.has(value))));
  if (grant.methods === null && grant.paths === null) {
    // It allows what is not sent anywhere, which no entry with methods or paths does; and whoever allows that allows what is sent too.
    yield [bits(entries, (entry) => entry.methods === null && entry.paths === null)];
    return;
  }
  yield smallest(hardest(grant.methods).map((value) => bits(entries, (entry) => entry.methods === null || entry.methods.has(value))));
  if (grant.paths === null) {
    // Any path, those included that no pattern matches because servers read them differently.
    yield [bits(entries, (entry) => entry.paths === null)];
    return;
  }
  const depth = Math.max(0, ...entries.flatMap((entry) => (entry.paths ?? []).map((path) => path.segments.length)));
  const paths = grant.paths.flatMap((path) => representativePaths(path, depth));
  yield smallest(paths.map((path) => bits(entries, (entry) => entry.paths === null || entry.paths.some((pattern) => patternMatches(pattern, path)))));
}

function hardest(values: ReadonlySet<Value> | null): readonly Value[] {
  return values === null || values.has('*') ? [ANYTHING_ELSE] : [...values];
}

function accepts(values: ReadonlySet<Value>, value: Value): boolean {
  return values.has('*') || values.has(value);
}

function bits(entries: readonly Parts[], accepting: (entry: Parts) => boolean): bigint {
  return entries.reduce((set, entry, index) => (accepting(entry) ? set | (1n << BigInt(index)) : set), 0n);
}

function smallest(sets: readonly bigint[]): readonly bigint[] {
  const distinct = [...new Set(sets)];
  if (distinct.length > MOST_COMBINATIONS) return distinct;
  return distinct.filter((set) => !distinct.some((other) => other !== set && (other & set) === other));
}

function intersectEntries(a: Permission, b: Permission): Permission | null {
  const left = readMatcher(a.namespace);
  const right = readMatcher(b.namespace);
  const namespace = left === null || right === null ? undefined : intersectMatchers(left, right);
  const resources = intersectNames(a.resources, b.resources);
  const verbs = intersectNames(a.verbs, b.verbs);
  if (namespace === undefined || resources.length === 0 || verbs.length === 0) return null;
  const limits: { resource_ids?: readonly string[]; methods?: readonly string[]; paths?: readonly string[] } = {};
  const ids = intersectLimits(a.resource_ids, b.resource_ids);
  const methods = intersectLimits(a.methods, b.methods);
  const paths = intersectPaths(a.paths, b.paths);
  // An empty list here would read as a limit that is gone: nothing is left of the whole entry instead.
  if (ids?.length === 0 || methods?.length === 0 || paths?.length === 0) return null;
  if (ids !== undefined) limits.resource_ids = ids;
  if (methods !== undefined) limits.methods = methods;
  if (paths !== undefined) limits.paths = paths;
  return { namespace: formatNamespaceMatcher(namespace), resources, verbs, ...limits };
}

function intersectNames(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.includes('*')) return b;
  return b.includes('*') ? a : common(a, b);
}

function intersectLimits(a: readonly string[] | undefined, b: readonly string[] | undefined): readonly string[] | undefined {
  return a === undefined || b === undefined ? (a ?? b) : common(a, b);
}

function common(a: readonly string[], b: readonly string[]): readonly string[] {
  const other = new Set(b);
  return a.filter((value) => other.has(value));
}

function intersectPaths(a: readonly string[] | undefined, b: readonly string[] | undefined): readonly string[] | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const patterns = a.flatMap((left) => b.flatMap((right) => intersectPathTexts(left, right) ?? []));
  return [...new Set(patterns)];
}

function intersectPathTexts(a: string, b: string): string | null {
  const left = parsePathPattern(a);
  const right = parsePathPattern(b);
  const both = left === null || right === null ? null : intersectPatterns(left, right);
  return both === null ? null : formatPathPattern(both);
}

// Entries that a single other one covers say nothing. Of two that mean the same, the first stays.
function absorb(entries: readonly Permission[]): readonly Permission[] {
  if (entries.length > MOST_TO_ABSORB) return entries;
  const kept: { readonly entry: Permission; readonly parts: Parts }[] = [];
  for (const entry of entries) {
    const parts = decompose(entry);
    if (kept.some((other) => coversEntry([other.parts], parts))) continue;
    const still = kept.filter((other) => !coversEntry([parts], other.parts));
    kept.splice(0, kept.length, ...still, { entry, parts });
  }
  return kept.map(({ entry }) => entry);
}
