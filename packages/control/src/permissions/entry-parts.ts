import type { NamespaceMatcher } from '../namespaces/namespace-matcher.js';
import { type PathPattern, parsePathPattern } from './path-pattern.js';
import type { Permission } from './permission.js';
import { readMatcher } from './read-matcher.js';

/** An entry as the algebra works with it. `null` is a member that is left out; a namespace that cannot be read allows nothing. */
export interface EntryParts {
  readonly namespace: NamespaceMatcher | null;
  readonly resources: ReadonlySet<string>;
  readonly verbs: ReadonlySet<string>;
  readonly ids: ReadonlySet<string> | null;
  readonly methods: ReadonlySet<string> | null;
  readonly paths: readonly PathPattern[] | null;
}

/** Reads an entry once, for however many others it is compared with. */
export function entryParts(entry: Permission): EntryParts {
  return {
    namespace: readMatcher(entry.namespace),
    resources: new Set(entry.resources),
    verbs: new Set(entry.verbs),
    ids: entry.resource_ids === undefined ? null : new Set(entry.resource_ids),
    methods: entry.methods === undefined ? null : new Set(entry.methods),
    paths: entry.paths === undefined ? null : entry.paths.flatMap((path) => parsePathPattern(path) ?? []),
  };
}
