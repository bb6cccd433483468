import { stringify } from 'yaml';
import { coloursFor, printJson } from '../terminal.js';
import { printable } from './printable.js';
import { fitText, textWidth } from './text-width.js';

/** How a result is printed. */
export type OutputFormat = 'table' | 'json' | 'yaml';

/** A column of a table: its head and what stands in it. */
export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => unknown;
}

const GAP = 2;
const NARROWEST = 8;

/**
 * Prints a list: as a table that fits the terminal, or whole as JSON or YAML. Of an empty one a table says so on standard error, and standard output
 * stays empty.
 */
export function printList<Row>(rows: readonly Row[], columns: readonly Column<Row>[], format: OutputFormat, empty: string): void {
  if (format !== 'table') printDocument(rows, format);
  else if (rows.length === 0) process.stderr.write(`${empty}\n`);
  else {
    const cells = [columns.map(({ head }) => head), ...rows.map((row) => columns.map(({ cell }) => cellText(cell(row))))];
    const [head = '', ...lines] = tableLines(cells, process.stdout.isTTY === true ? process.stdout.columns : undefined);
    process.stdout.write(`${[coloursFor(process.stdout).dim(head), ...lines].join('\n')}\n`);
  }
}

/** Prints one thing: a line for each of its members, or whole as JSON or YAML. */
export function printOne(value: Readonly<Record<string, unknown>>, format: OutputFormat): void {
  if (format !== 'table') {
    printDocument(value, format);
    return;
  }
  const colours = coloursFor(process.stdout);
  const names = Object.keys(value).map(printable);
  const width = Math.max(0, ...names.map(textWidth));
  const lines = Object.values(value).map((member, index) => {
    const name = names[index] ?? '';
    return `${colours.dim(name)}${' '.repeat(width - textWidth(name) + GAP)}${cellText(member)}`.trimEnd();
  });
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

/** Lines of columns that stand below each other. With a width, the widest columns are cut until a line fits, but none below eight characters. */
export function tableLines(rows: readonly (readonly string[])[], width: number | undefined): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, textWidth(cell));
  if (width !== undefined) shrink(widths, width);
  return rows.map((row) =>
    row
      .map((cell, index) => {
        const room = widths[index] ?? 0;
        const text = width === undefined ? cell : fitText(cell, room);
        return text + ' '.repeat(Math.max(0, room - textWidth(text)));
      })
      .join(' '.repeat(GAP))
      .trimEnd(),
  );
}

function shrink(widths: number[], width: number): void {
  const gaps = GAP * Math.max(0, widths.length - 1);
  let excess = widths.reduce((sum, one) => sum + one, gaps) - width;
  while (excess > 0) {
    const widest = Math.max(...widths);
    if (widest <= NARROWEST) return;
    // Down to the next widest one, in one step.
    const next = Math.max(NARROWEST, ...widths.filter((one) => one < widest));
    const at = widths.indexOf(widest);
    const among = widths.filter((one) => one === widest).length;
    const cut = Math.min(excess, among > 1 ? 1 : widest - next);
    widths[at] = widest - cut;
    excess -= cut;
  }
}

function printDocument(value: unknown, format: 'json' | 'yaml'): void {
  if (format === 'json') printJson(value);
  else process.stdout.write(stringify(value, { aliasDuplicateObjects: false }));
}

/** A value in one line. */
function cellText(value: unknown): string {
  if (value === undefined || value === null || value === '') return '–';
  return printable(typeof value === 'string' ? value : JSON.stringify(value));
}
