import { coloursFor } from '../terminal.js';
import { fitted } from './table.js';

/** The parts of a terminal that are needed: what is written to, and what keys come from. */
export interface Terminal {
  readonly output: NodeJS.WriteStream;
  readonly input: NodeJS.ReadStream;
}

/** A screen of its own that is drawn again and again, and leaves the terminal as it was. */
export interface LiveScreen {
  /** Shows a text instead of the one before; again when the size changes. */
  draw(text: string): void;
  /** Shows the cursor and what was there before. */
  close(): void;
}

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const USUAL = { columns: 80, rows: 24 };

/** Opens the screen. `quit` is called when somebody presses q, Ctrl-C or Ctrl-D. */
export function openLiveScreen({ input, output }: Terminal, quit: () => void): LiveScreen {
  const colours = coloursFor(output);
  let shown = '';

  function redraw(): void {
    // Some terminals call themselves 0 by 0.
    const size = { columns: output.columns || USUAL.columns, rows: output.rows || USUAL.rows };
    const text = fitted(`${shown}\n${colours.dim('q quits')}`, size);
    // Each line clears its own rest, so that nothing flickers.
    output.write(`\x1b[H${text.replaceAll('\n', '\x1b[K\r\n')}\x1b[K\x1b[J`);
  }
  function key(data: Buffer | string): void {
    if (/[qQ\u0003\u0004]/.test(data.toString())) quit();
  }

  output.write(ENTER);
  output.on('resize', redraw);
  if (input.isTTY === true) {
    input.setRawMode(true);
    input.on('data', key);
    input.resume();
  }
  return {
    draw(text) {
      shown = text;
      redraw();
    },
    close() {
      output.off('resize', redraw);
      if (input.isTTY === true) {
        input.off('data', key);
        input.setRawMode(false);
        input.pause();
      }
      output.write(LEAVE);
    },
  };
}
