import { coloursFor } from '../terminal.js';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;

/** Tells people what goes on, on standard error; standard output is for the token alone. */
export interface Progress {
  say(text: string): void;
  /** The same in yellow on a terminal, after `warning:`. */
  warn(text: string): void;
  /** Shows that something is being waited for until the function it answers is called: a spinner on a terminal, one line elsewhere. */
  wait(text: string): () => void;
}

export function progressOn(stream: NodeJS.WriteStream): Progress {
  const colours = coloursFor(stream);
  let redraw: (() => void) | null = null;
  const say = (text: string): void => {
    stream.write(`${redraw === null ? '' : '\r\x1b[K'}${text}\n`);
    redraw?.();
  };
  return {
    say,
    warn: (text) => say(`${colours.yellow('warning:')} ${text}`),
    wait(text) {
      if (stream.isTTY !== true) {
        say(text);
        return () => {};
      }
      let frame = 0;
      redraw = () => {
        stream.write(`\r\x1b[K${colours.cyan(FRAMES[frame % FRAMES.length])} ${text}`);
        frame += 1;
      };
      redraw();
      const timer = setInterval(redraw, FRAME_MS);
      // Alone it keeps nothing running: what is waited for does.
      timer.unref();
      return () => {
        clearInterval(timer);
        redraw = null;
        stream.write('\r\x1b[K');
      };
    },
  };
}
