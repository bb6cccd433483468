import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkedScanner } from './chunked.js';

interface Outcome {
  content: string;
  /** One past the last byte that belongs to the chunks; −1 when they were refused. */
  end: number;
  atTrailers: boolean;
  fault: string;
}

/** Scans the input in pieces that end at `splits`, each overwritten once it was read. */
function scan(text: string, splits: readonly number[] = [], scanner = new ChunkedScanner()): Outcome {
  const input = Buffer.from(text, 'latin1');
  scanner.begin();
  let content = '';
  let from = 0;
  for (const to of [...splits, input.length]) {
    if (to <= from) continue;
    const piece = Buffer.from(input.subarray(from, to));
    const end = scanner.read(piece, 0, piece.length, (start, stop) => {
      expect(stop).toBeGreaterThan(start);
      content += piece.toString('latin1', start, stop);
    });
    if (end < 0) return { content: '', end, atTrailers: false, fault: scanner.fault };
    if (scanner.atTrailers) return { content, end: from + end, atTrailers: true, fault: '' };
    expect(end).toBe(piece.length);
    piece.fill(0xdd);
    from = to;
  }
  return { content, end: input.length, atTrailers: false, fault: '' };
}

/** The outcome, after it was found to be the same at every split in two and byte by byte. */
function scanAtEverySplit(text: string): Outcome {
  const whole = scan(text);
  for (let split = 1; split < text.length; split++) expect(scan(text, [split]), `split at ${split} of ${JSON.stringify(text)}`).toEqual(whole);
  expect(
    scan(
      text,
      Array.from(text, (_, index) => index),
    ),
    'byte by byte',
  ).toEqual(whole);
  return whole;
}

const chunk = fc.record({
  content: fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }),
  zeros: fc.nat(4),
  upper: fc.boolean(),
  extension: fc.constantFrom('', ';a', ';a=b', ';a="b;c"', ';a="\\"\\r"', ';a=b;c=d', ';!#=~', ';a=""', ';a="\t \xe9"', ';a="\\\xff"'),
});

describe('chunked bodies', () => {
  test('any well-formed one: the content is found and so is the end, whatever the splits', () => {
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 8 }),
        chunk,
        fc.string({ maxLength: 8 }),
        fc.array(fc.nat(500), { maxLength: 10 }),
        (chunks, last, rest, splits) => {
          let text = '';
          for (const { content, zeros, upper, extension } of chunks) {
            const size = '0'.repeat(zeros) + content.length.toString(16);
            text += `${upper ? size.toUpperCase() : size}${extension}\r\n${content}\r\n`;
          }
          text += `${'0'.repeat(1 + last.zeros)}${last.extension}\r\n`;
          const sorted = splits.filter((split) => split < text.length).sort((a, b) => a - b);
          expect(scan(text + rest, sorted)).toEqual({
            content: chunks.map(({ content }) => content).join(''),
            end: text.length,
            atTrailers: true,
            fault: '',
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  test('one scanner serves one body after another, also after a refusal', () => {
    const scanner = new ChunkedScanner();
    for (const text of ['5;a="b\r\n', '3\r\nabc\r\n0\r\n', '3\r\nab', 'x', 'A;ext=1\r\n0123456789\r\n0\r\n']) {
      expect(scan(text, [], scanner)).toEqual(scan(text));
    }
  });

  test('without a sink nothing is handed out, and the end is the same', () => {
    const input = Buffer.from('5\r\nhello\r\n0\r\nX: y\r\n');
    const scanner = new ChunkedScanner();
    scanner.begin();
    expect(scanner.read(input, 0, input.length, null)).toBe(13);
    expect(scanner.atTrailers).toBe(true);
  });

  test('sizes of thirteen digits are exact', () => {
    const scanner = new ChunkedScanner();
    scanner.begin();
    const line = Buffer.from('fffffffffffff\r\n');
    expect(scanner.read(line, 0, line.length, null)).toBe(line.length);
    // 2^52 + … fits into a double without loss: the chunk is not over until its very last byte.
    expect(0xfffffffffffff + 1).toBeLessThanOrEqual(Number.MAX_SAFE_INTEGER);
    const more = Buffer.alloc(1000, 0x61);
    let handed = 0;
    scanner.read(more, 0, more.length, (start, end) => {
      handed += end - start;
    });
    expect(handed).toBe(1000);
    expect(scanner.atTrailers).toBe(false);
  });

  test('extensions of a chunk up to 512 bytes, in every chunk', () => {
    const extension = `;${'e'.repeat(510)}`;
    expect(scanAtEverySplit(`1${extension}\r\na\r\n1${extension}\r\nb\r\n0\r\n`)).toMatchObject({ content: 'ab', atTrailers: true });
    expect(scan(`1;${'e'.repeat(600)}\r\na\r\n`).fault).toContain('512');
  });

  test.each([
    ['no size', '\r\nhello\r\n0\r\n'],
    ['no size before an extension', ';a\r\nhello\r\n0\r\n'],
    ['a prefix', '0x5\r\nhello\r\n0\r\n'],
    ['a plus', '+5\r\nhello\r\n0\r\n'],
    ['a minus', '-5\r\nhello\r\n0\r\n'],
    ['a space before', ' 5\r\nhello\r\n0\r\n'],
    ['a space after', '5 \r\nhello\r\n0\r\n'],
    ['a tab after', '5\t\r\nhello\r\n0\r\n'],
    ['an underscore', '1_0\r\nhello\r\n0\r\n'],
    ['a point', '5.0\r\nhello\r\n0\r\n'],
    ['a letter that is no digit', '5g\r\nhello\r\n0\r\n'],
    ['a digit that is not ASCII', '\xb2\r\nhe\r\n0\r\n'],
    ['fourteen digits', '10000000000000\r\nhello\r\n0\r\n'],
    ['fourteen zeros', '00000000000000\r\n'],
    ['a size that wraps at 64 bits', '10000000000000005\r\nhello\r\n0\r\n'],
    ['a bare LF after the size', '5\nhello\r\n0\r\n'],
    ['a bare CR after the size', '5\rhello\r\n0\r\n'],
    ['two CRs after the size', '5\r\r\nhello\r\n0\r\n'],
    ['a bare LF after the chunk', '5\r\nhello\n0\r\n'],
    ['a bare CR after the chunk', '5\r\nhello\r0\r\n'],
    ['nothing after the chunk', '5\r\nhello0\r\n'],
    ['a chunk longer than its size', '5\r\nhello!\r\n0\r\n'],
    ['a chunk shorter than its size', '6\r\nhello\r\n0\r\n'],
    ['a bare LF after the last size', '0\n\r\n'],
    ['an extension without a name', '5;\r\nhello\r\n0\r\n'],
    ['an extension without a value', '5;a=\r\nhello\r\n0\r\n'],
    ['an extension with an empty name', '5;=a\r\nhello\r\n0\r\n'],
    ['a space in an extension', '5; a\r\nhello\r\n0\r\n'],
    ['a space around the sign', '5;a =b\r\nhello\r\n0\r\n'],
    ['a bare LF in an extension', '5;a\nb\r\nhello\r\n0\r\n'],
    ['a bare CR in an extension', '5;a\rb\r\nhello\r\n0\r\n'],
    ['an LF in quotes', '5;a="\n"\r\nhello\r\n0\r\n'],
    ['an escaped LF', '5;a="\\\n"\r\nhello\r\n0\r\n'],
    ['CR LF in quotes', '5;a="b\r\nhello\r\n0\r\n'],
    ['a NUL in an extension', '5;a\0\r\nhello\r\n0\r\n'],
    ['a NUL in quotes', '5;a="\0"\r\nhello\r\n0\r\n'],
    ['a token after quotes', '5;a="b"c\r\nhello\r\n0\r\n'],
    ['a second value', '5;a=b=c\r\nhello\r\n0\r\n'],
    ['a comma', '5,a\r\nhello\r\n0\r\n'],
  ])('refused at every split: %s', (_, text) => {
    const outcome = scanAtEverySplit(text);
    expect(outcome.end).toBe(-1);
    expect(outcome.fault).not.toBe('');
  });
});
