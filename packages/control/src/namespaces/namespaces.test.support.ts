import fc from 'fast-check';
import { type AuditTrail, createAuditTrail } from '../audit/audit-trail.js';
import type { Database } from '../database/open-database.js';
import { testSealer } from '../database/testing/databases.test.support.js';
import type { OnNamespaceDestroyed } from './namespace-destruction.js';
import type { NamespaceMatcher, NamespaceScope } from './namespace-matcher.js';
import { createNamespaces, type Namespaces } from './namespaces.js';

/** Few and similar segments, among them those that a pattern language would mistake for a wildcard: paths meet, nest and nearly meet. */
const segment = fc.constantFrom('a', 'b', 'a_', 'aX', 'a-', '_', 'X');

export const pathOf: fc.Arbitrary<string> = fc.array(segment, { maxLength: 3 }).map((segments) => ['root', ...segments].join('.'));

export const matcherOf: fc.Arbitrary<NamespaceMatcher> = fc.record({ path: pathOf, subtree: fc.boolean() });

export const scopeOf: fc.Arbitrary<NamespaceScope> = fc.array(matcherOf, { maxLength: 4 });

export const who = { actorId: 'act_test', requestId: 'req_test' };

export interface Stage {
  readonly namespaces: Namespaces;
  readonly audit: AuditTrail;
  /** Lets the clock jump. */
  readonly wait: (milliseconds: number) => void;
}

/** Namespaces on a database, with a clock that counts. */
export function stageOn(database: Database, hooks: readonly OnNamespaceDestroyed[] = []): Stage {
  let time = 1_000;
  const now = (): number => ++time;
  const audit = createAuditTrail({ database, sealer: testSealer, now });
  const wait = (milliseconds: number): void => {
    time += milliseconds;
  };
  return { audit, wait, namespaces: createNamespaces({ database, audit, sealer: testSealer, onNamespaceDestroyed: hooks, now }) };
}
