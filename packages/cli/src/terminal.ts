import type { WriteStream } from 'node:tty';
import picocolors from 'picocolors';

type Stream = NodeJS.WriteStream | WriteStream;

/** Colours for a stream: none unless it is a terminal and NO_COLOR is not set. */
export function coloursFor(stream: Stream): ReturnType<typeof picocolors.createColors> {
  return picocolors.createColors(stream.isTTY === true && picocolors.isColorSupported);
}

/** Prints a value as JSON for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Rows as columns that stand below each other. Colours may be in the cells: only what is seen counts. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, visible(cell).length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, index) => (index === row.length - 1 ? cell : cell + ' '.repeat((widths[index] ?? 0) - visible(cell).length)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function visible(cell: string): string {
  return cell.replace(/\x1b\[[0-9;]*m/g, '');
}
