import { SallyportError } from '@sallyport/sdk';
import { formatNamespaceMatcher, intersectMatchers } from '../namespaces/namespace-matcher.js';
import { coverageOf, coversEntry } from './coverage.js';
import { type EntryParts, entryParts } from './entry-parts.js';
import { formatPathPattern, intersectPatterns, type PathPattern } from './path-pattern.js';
import { entriesOf, type Permission, type Permissions, permissionsOf } from './permission.js';
import { spend, type WorkBudget, workBudget } from './work-budget.js';

/** What telling whether something is covered may take: some ten milliseconds. */
const COVERS_STEPS = 400_000;
/** Pairs of entries, and pairs of their paths, that an intersection may look at. */
const INTERSECT_PAIRS = 50_000;
/** Entries and paths that may be left of an intersection. */
const MOST_LEFT = 2048;
const MOST_TO_ABSORB = 32;
const ABSORB_STEPS = 20_000;

/** The budget of one {@link covers}. */
export const coversBudget = (): WorkBudget => workBudget(COVERS_STEPS);

/** The budget of one {@link intersect}. */
export const intersectBudget = (): WorkBudget => workBudget(INTERSECT_PAIRS);

/**
 * True exactly when every request that `grant` allows is allowed by `granter`, if need be by several of its entries together. A grant so intricate
 * that this cannot be told within the budget counts as not covered.
 */
export function covers(granter: Permissions, grant: Permissions, budget = coversBudget()): boolean {
  const coverage = coverageOf(entriesOf(granter).map(entryParts));
  return entriesOf(grant).every((entry) => coversEntry(coverage, entryParts(entry), budget));
}

/**
 * The requests that both allow. Nothing in common is «nothing», never an empty list that could be read as no limit. What the budget does not suffice
 * for is refused with `permission_invalid`.
 */
export function intersect(a: Permissions, b: Permissions, budget = intersectBudget()): Permissions {
  const found = new Map<string, Permission>();
  const rights = entriesOf(b).map((entry) => ({ entry, parts: entryParts(entry) }));
  let kept = 0;
  for (const entry of entriesOf(a)) {
    const left = { entry, parts: entryParts(entry) };
    for (const right of rights) {
      if (!spend(budget, 1 + (left.parts.paths?.length ?? 0) * (right.parts.paths?.length ?? 0))) throw tooIntricate();
      const both = intersectEntries(left, right);
      if (both === null) continue;
      kept += 1 + (both.paths?.length ?? 0);
      if (kept > MOST_LEFT) throw tooIntricate();
      found.set(JSON.stringify(both), both);
    }
  }
  return permissionsOf(absorb([...found.values()]));
}

function tooIntricate(): SallyportError {
  return new SallyportError('permission_invalid', { detail: 'permissions: too many entries or paths to tell what both sides of them allow' });
}

interface ReadEntry {
  readonly entry: Permission;
  readonly parts: EntryParts;
}

function intersectEntries(a: ReadEntry, b: ReadEntry): Permission | null {
  const left = a.parts.namespace;
  const right = b.parts.namespace;
  const namespace = left === null || right === null ? undefined : intersectMatchers(left, right);
  if (namespace === undefined) return null;
  const resources = intersectNames(a.parts.resources, b.parts.resources);
  const verbs = intersectNames(a.parts.verbs, b.parts.verbs);
  if (resources.length === 0 || verbs.length === 0) return null;
  const limits: { resource_ids?: readonly string[]; methods?: readonly string[]; paths?: readonly string[] } = {};
  const ids = intersectLimits(a.parts.ids, b.parts.ids);
  const methods = intersectLimits(a.parts.methods, b.parts.methods);
  if (ids?.length === 0 || methods?.length === 0) return null;
  const paths = intersectPaths(a, b);
  // An empty list here would read as a limit that is gone: nothing is left of the whole entry instead.
  if (paths?.length === 0) return null;
  if (ids !== undefined) limits.resource_ids = ids;
  if (methods !== undefined) limits.methods = methods;
  if (paths !== undefined) limits.paths = paths;
  return { namespace: formatNamespaceMatcher(namespace), resources, verbs, ...limits };
}

function intersectNames(a: ReadonlySet<string>, b: ReadonlySet<string>): readonly string[] {
  if (a.has('*')) return [...b];
  return b.has('*') ? [...a] : common(a, b);
}

function intersectLimits(a: ReadonlySet<string> | null, b: ReadonlySet<string> | null): readonly string[] | undefined {
  if (a !== null && b !== null) return common(a, b);
  const only = a ?? b;
  return only === null ? undefined : [...only];
}

function common(a: ReadonlySet<string>, b: ReadonlySet<string>): readonly string[] {
  return [...a].filter((value) => b.has(value));
}

function intersectPaths(a: ReadEntry, b: ReadEntry): readonly string[] | undefined {
  const [left, right] = [a.parts.paths, b.parts.paths];
  if (left === null || right === null) return a.entry.paths ?? b.entry.paths;
  const found = new Set<string>();
  for (const one of left) {
    for (const text of right.flatMap((other) => bothPatterns(one, other) ?? [])) found.add(text);
    if (found.size > MOST_LEFT) throw tooIntricate();
  }
  return [...found];
}

function bothPatterns(a: PathPattern, b: PathPattern): string | null {
  const both = intersectPatterns(a, b);
  return both === null ? null : formatPathPattern(both);
}

// Entries that a single other one covers say nothing. Of two that mean the same, the first stays. Where the budget ends, they stay too.
function absorb(entries: readonly Permission[]): readonly Permission[] {
  if (entries.length < 2 || entries.length > MOST_TO_ABSORB) return entries;
  const budget = workBudget(ABSORB_STEPS);
  let kept: { readonly entry: Permission; readonly parts: EntryParts; readonly coverage: ReturnType<typeof coverageOf> }[] = [];
  for (const entry of entries) {
    const parts = entryParts(entry);
    if (kept.some((other) => coversEntry(other.coverage, parts, budget))) continue;
    const coverage = coverageOf([parts]);
    kept = [...kept.filter((other) => !coversEntry(coverage, other.parts, budget)), { entry, parts, coverage }];
  }
  return kept.map(({ entry }) => entry);
}
