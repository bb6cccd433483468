import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Difference, differences } from './difference.js';

const json = fc.jsonValue({ maxDepth: 4 });
const shown = (all: readonly Difference[]): unknown[] => all.map(({ path, before, after }) => [path.join('.'), before, after]);

describe('two values', () => {
  test('differ nowhere exactly when they are equal', () => {
    fc.assert(
      fc.property(json, json, (before, after) => {
        expect(differences(before, structuredClone(before))).toEqual([]);
        // The order of the members of a map means nothing, and there is one zero.
        const same = JSON.stringify(sorted(before)) === JSON.stringify(sorted(after));
        expect(differences(before, after).length === 0).toBe(same);
      }),
    );
  });

  test.each([
    [{ a: 1, b: 2 }, { a: 1, b: 3 }, [['b', 2, 3]]],
    [{ a: ['x', 'y'] }, { a: ['x'] }, [['a.1', 'y', undefined]]],
    [{ a: {} }, { a: { b: 1 } }, [['a', {}, { b: 1 }]]],
    [{ a: [] }, { a: {} }, [['a', [], {}]]],
    [undefined, { a: 1 }, [['', undefined, { a: 1 }]]],
  ])('%j and %j', (before, after, expected) => {
    expect(shown(differences(before, after))).toEqual(expected);
  });
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  const entries = Object.entries(value).map(([key, member]) => [key, sorted(member)] as const);
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}
