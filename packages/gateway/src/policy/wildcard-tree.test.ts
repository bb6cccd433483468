import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WildcardTree } from './wildcard-tree.js';

/** The definition, word by word, with no thought for cost. */
function fits(pattern: readonly string[], labels: readonly string[]): boolean {
  if (pattern.length === 0) return labels.length === 0;
  const [first, ...rest] = pattern;
  if (first === '**') return fits(rest, labels) || (labels.length > 0 && fits(pattern, labels.slice(1)));
  return labels.length > 0 && (first === '*' ? labels[0] !== '' : first === labels[0]) && fits(rest, labels.slice(1));
}

describe('WildcardTree', () => {
  it('finds what the definition says, as often as it was added', () => {
    const label = fc.constantFrom('a', 'b', '');
    const pattern = fc.array(fc.oneof({ weight: 3, arbitrary: label }, fc.constantFrom('*', '**')), { maxLength: 5 });
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 30 }), fc.array(fc.array(label, { maxLength: 6 }), { maxLength: 4 }), (patterns, lookups) => {
        const tree = new WildcardTree<number>();
        for (const [i, one] of patterns.entries()) tree.add(one, i);
        for (const labels of lookups) {
          const wanted = patterns.flatMap((one, i) => (fits(one, labels) ? [i] : []));
          expect(tree.find(labels).sort((a, b) => a - b)).toEqual(wanted);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('answers an array of its own, and those of one pattern in order', () => {
    const tree = new WildcardTree<number>();
    for (const i of [3, 1, 2]) tree.add(['a'], i);
    tree.find(['a']).reverse();
    expect(tree.find(['a'])).toEqual([3, 1, 2]);
    tree.find([]).push(7);
    expect(tree.find([])).toEqual([]);
  });
});
