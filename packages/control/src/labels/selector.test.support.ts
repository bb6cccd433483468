import fc from 'fast-check';
import type { Labels } from './label-grammar.js';
import type { Requirement, Selector } from './selector.js';

const key = fc.constantFrom('env', 'tier', 'example.com/team', 'in', 'apxy/ns/env');
const value = fc.constantFrom('', 'a', 'b', 'c');
const values = fc.uniqueArray(value, { minLength: 1, maxLength: 3 });

const requirement: fc.Arbitrary<Requirement> = fc.oneof(
  fc.record({ operator: fc.constantFrom('in' as const, 'notin' as const), key, values }),
  fc.record({ operator: fc.constantFrom('exists' as const, 'absent' as const), key }),
);

/** Selectors over few keys and values, so that they meet the labels below often. */
export const anySelector: fc.Arbitrary<Selector> = fc.array(requirement, { maxLength: 4 });

/** Labels of one resource. */
export const anyLabels: fc.Arbitrary<Labels> = fc.dictionary(key, value, { maxKeys: 4, noNullPrototype: true });
