import { printable } from './printable.js';
import { fitText } from './text-width.js';

type Stream = Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'>;

/** One line that says how far something is: on a terminal it is written over, elsewhere each that differs from the last is a line of its own. */
export function progressLine(stream: Stream): { show(text: string): void; end(): void } {
  let last: string | null = null;
  return {
    show(text) {
      const line = printable(text);
      if (line === last) return;
      last = line;
      if (stream.isTTY === true) stream.write(`\r\x1b[K${fitText(line, (stream.columns ?? 80) - 1)}`);
      else stream.write(`${line}\n`);
    },
    end() {
      if (last !== null && stream.isTTY === true) stream.write('\n');
      last = null;
    },
  };
}
