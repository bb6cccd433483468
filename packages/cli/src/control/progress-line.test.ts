import { expect, test } from 'vitest';
import { progressLine } from './progress-line.js';

function written(isTTY: boolean, columns = 20): { readonly stream: Parameters<typeof progressLine>[0]; readonly text: () => string } {
  let text = '';
  const write = (chunk: unknown): boolean => {
    text += String(chunk);
    return true;
  };
  return { stream: { write, isTTY, columns }, text: () => text };
}

test('on a terminal one line is written over, never wider than it', () => {
  const { stream, text } = written(true);
  const line = progressLine(stream);
  line.show('1 of 2');
  line.show('1 of 2');
  line.show('a sentence that is far too long');
  line.end();
  line.end();
  expect(text()).toBe('\r\x1b[K1 of 2\r\x1b[Ka sentence that is…\n');
});

test('elsewhere each that differs is a line, and nothing in it obeys', () => {
  const { stream, text } = written(false);
  const line = progressLine(stream);
  for (const said of ['1 of 2', '1 of 2', '\x1b[2J']) line.show(said);
  line.end();
  expect(text()).toBe('1 of 2\n\\u{1b}[2J\n');
});
