import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { capture, type Printed } from '../onboard/captured-output.test.support.js';
import { type Column, printList, printOne, tableLines } from './output.js';
import { printable } from './printable.js';
import { fitText, textWidth } from './text-width.js';

let printed: Printed;
beforeEach(() => {
  printed = capture();
});
afterEach(() => printed.restore());

interface Row {
  readonly name: string;
  readonly count?: number;
  readonly labels?: object;
}
const columns: readonly Column<Row>[] = [
  { head: 'name', cell: ({ name }) => name },
  { head: 'count', cell: ({ count }) => count },
  { head: 'labels', cell: ({ labels }) => labels },
];
const rows: readonly Row[] = [{ name: '東京', count: 3, labels: { a: 'b' } }, { name: 'b\x1b[31m\nc' }];

describe('a list', () => {
  test('as a table, without colours where nobody looks, and harmless', () => {
    printList(rows, columns, 'table', 'None.');
    expect(printed.stdout()).toBe('name               count  labels\n東京               3      {"a":"b"}\nb\\u{1b}[31m\\u{a}c  –      –\n');
  });

  test('as JSON and YAML, whole', () => {
    printList(rows, columns, 'json', 'None.');
    expect(JSON.parse(printed.stdout())).toEqual(rows);
  });

  test('as YAML', () => {
    printList(rows, columns, 'yaml', 'None.');
    expect(parse(printed.stdout())).toEqual(rows);
  });

  test('that is empty says so beside the output; for programs it is a list', () => {
    printList([], columns, 'table', 'There is none.');
    expect(printed.stdout()).toBe('');
    expect(printed.stderr()).toBe('There is none.\n');
    printList([], columns, 'json', 'There is none.');
    expect(JSON.parse(printed.stdout())).toEqual([]);
  });
});

test('one thing is a line for each member', () => {
  printOne({ external_id: 'ada', labels: { a: 'b' }, none: null }, 'table');
  expect(printed.stdout()).toBe('external_id  ada\nlabels       {"a":"b"}\nnone         –\n');
});

describe('tables', () => {
  test('cut the widest columns first', () => {
    expect(
      tableLines(
        [
          ['name', 'x'.repeat(30)],
          ['a longer name', 'y'],
        ],
        30,
      ),
    ).toEqual([`name           ${'x'.repeat(14)}…`, 'a longer name  y']);
  });

  const cell = fc.string({ unit: fc.constantFrom('a', ' ', 'é', 'é', '東', '👩‍👩‍👧', '한', '…'), maxLength: 20 });
  const table = fc
    .integer({ min: 1, max: 6 })
    .chain((count) => fc.array(fc.array(cell, { minLength: count, maxLength: count }), { minLength: 1, maxLength: 8 }));

  test('fit into the width, unless every column is at its narrowest', () => {
    fc.assert(
      fc.property(table, fc.integer({ min: 1, max: 200 }), (cells, width) => {
        const narrowest = (cells[0]?.length ?? 0) * 10 - 2;
        for (const line of tableLines(cells, width)) expect(textWidth(line)).toBeLessThanOrEqual(Math.max(width, narrowest));
      }),
    );
  });

  test('lose nothing without a width, and begin each column at one place', () => {
    fc.assert(
      fc.property(table, (cells) => {
        const lines = tableLines(cells, undefined);
        for (const [index, row] of cells.entries()) for (const one of row) expect(lines[index]).toContain(one.trimEnd());
      }),
    );
  });
});

describe('the width of text', () => {
  test.each([
    ['abc', 3],
    ['東京', 4],
    ['e\u0301', 1],
    ['👩‍👩‍👧', 2],
    ['한글', 4],
    ['ｈａｌｆ', 8],
    ['\u200b', 0],
    ['✔\ufe0f', 2],
    ['', 0],
  ])('%j takes %i columns', (text, width) => expect(textWidth(text)).toBe(width));

  test('what is cut fits, is a beginning, and says that it was cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }).map(printable), fc.integer({ min: 0, max: 20 }), (text, width) => {
        const cut = fitText(text, width);
        expect(textWidth(cut)).toBeLessThanOrEqual(width);
        if (cut !== text) expect(text.startsWith(cut.replace(/…$/, ''))).toBe(true);
      }),
    );
  });
});

test('no control character and no change of direction is ever printed', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    }),
  );
});
