import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatSelector, parseSelector, selectorMatches } from './selector.js';
import { anyLabels, anySelector } from './selector.test.support.js';

function columnOf(text: string): unknown {
  try {
    parseSelector(text);
    return null;
  } catch (error) {
    if (!(error instanceof SallyportError) || error.code !== 'selector_invalid') throw error;
    return error.members.column;
  }
}

describe('parseSelector', () => {
  test('reads every operator, with blanks anywhere', () => {
    expect(parseSelector(' a = 1 ,b==2, c!=3,d in (x, y),e notin(z),f, !g,example.com/h=')).toEqual([
      { operator: 'in', key: 'a', values: ['1'] },
      { operator: 'in', key: 'b', values: ['2'] },
      { operator: 'notin', key: 'c', values: ['3'] },
      { operator: 'in', key: 'd', values: ['x', 'y'] },
      { operator: 'notin', key: 'e', values: ['z'] },
      { operator: 'exists', key: 'f' },
      { operator: 'absent', key: 'g' },
      { operator: 'in', key: 'example.com/h', values: [''] },
    ]);
    expect(parseSelector('')).toEqual([]);
    expect(parseSelector('  ')).toEqual([]);
  });

  test('takes keys of the system, and keys that read like operators', () => {
    expect(parseSelector('apxy/cxn/-/id=cxn_1')).toEqual([{ operator: 'in', key: 'apxy/cxn/-/id', values: ['cxn_1'] }]);
    expect(parseSelector('in,notin in (in)')).toEqual([
      { operator: 'exists', key: 'in' },
      { operator: 'in', key: 'notin', values: ['in'] },
    ]);
  });

  test.each([
    [',', 1],
    ['a,', 3],
    ['a,,b', 3],
    ['a=b c', 5],
    ['a in x', 6],
    ['a in ()', 7],
    ['a in (x', 8],
    ['a in (x y)', 9],
    ['a like b', 3],
    ['a=b=c', 4],
    ['!a=b', 3],
    ['-a', 1],
    ['a=-b', 3],
    ['a/b/c', 1],
    ['apxy/x=1', 1],
    ['a=!b', 3],
    ['=a', 1],
  ])('%s is refused at column %i', (text, column) => {
    expect(columnOf(text)).toBe(column);
  });

  test('is bounded', () => {
    expect(columnOf('a'.repeat(5000))).toBe(4097);
    expect(columnOf(Array.from({ length: 33 }, (_, index) => `k${index}`).join(','))).not.toBeNull();
    expect(columnOf(`a in (${Array.from({ length: 65 }, (_, index) => `v${index}`).join(',')})`)).not.toBeNull();
  });

  test('any text gives a selector or an error with a column inside the text or right behind it', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '=', '!', ',', '(', ')', ' ', 'in', 'notin', '-', '/'), maxLength: 20 });
    fc.assert(
      fc.property(text, (selector) => {
        const column = columnOf(selector);
        if (column === null) expect(parseSelector(formatSelector(parseSelector(selector)))).toEqual(parseSelector(selector));
        else expect(column).toSatisfy((at: number) => at >= 1 && at <= selector.length + 1);
      }),
    );
  });

  test('reads back what formatSelector writes', () => {
    fc.assert(
      fc.property(anySelector, (selector) => {
        expect(parseSelector(formatSelector(selector))).toEqual(selector);
      }),
    );
  });
});

describe('selectorMatches', () => {
  test('a label that is absent meets != and notin, as in Kubernetes', () => {
    expect(selectorMatches(parseSelector('a!=1'), {})).toBe(true);
    expect(selectorMatches(parseSelector('a notin (1)'), {})).toBe(true);
    expect(selectorMatches(parseSelector('a in (1)'), {})).toBe(false);
    expect(selectorMatches(parseSelector('a'), { a: '' })).toBe(true);
    expect(selectorMatches(parseSelector('constructor'), {})).toBe(false);
  });

  test('a selector and the same with one condition turned around never both match', () => {
    const turned = { in: 'notin', notin: 'in', exists: 'absent', absent: 'exists' } as const;
    fc.assert(
      fc.property(anySelector, anyLabels, (selector, labels) => {
        for (const requirement of selector) {
          const other = { ...requirement, operator: turned[requirement.operator] } as typeof requirement;
          expect(selectorMatches([other], labels)).toBe(!selectorMatches([requirement], labels));
        }
        expect(selectorMatches(selector, labels)).toBe(selector.every((requirement) => selectorMatches([requirement], labels)));
      }),
    );
  });
});
