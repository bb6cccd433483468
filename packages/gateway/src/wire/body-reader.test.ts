import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BodyKind, BodyReader, requestBodyKind, responseBodyKind } from './body-reader.js';
import { fieldName, forbiddenTrailers, hopByHopFields } from './field-names.js';
import { Head } from './head.js';
import { trailerSection } from './head-writer.js';
import { Scan } from './scan.js';

interface Outcome {
  /** What goes on as it is, and the trailer section that its holder writes after it. */
  passed: string;
  content: string;
  consumed: number;
  done: boolean;
  fault: string;
  trailerFault: boolean;
}

/** Reads a body from pieces that end at `splits`, each overwritten once it was dealt with, and passes it on as the pipeline does. */
function follow(kind: BodyKind, length: number, text: string, splits: readonly number[] = [], body = new BodyReader()): Outcome {
  const input = Buffer.from(text, 'latin1');
  body.begin(kind, length);
  let passed = '';
  let content = '';
  let from = 0;
  for (const to of [...splits, input.length]) {
    if (to <= from || body.done) continue;
    const margin = from % 5;
    const piece = Buffer.concat([Buffer.alloc(margin), input.subarray(from, to)]);
    const pass = body.read(piece, margin, piece.length, (start, end) => {
      content += piece.toString('latin1', start, end);
    });
    if (pass < 0) return { passed: '', content: '', consumed: -1, done: false, fault: body.fault, trailerFault: body.trailerFault };
    passed += piece.toString('latin1', margin, pass);
    if (body.done) {
      if (body.trailers !== null) passed += trailerSection(body.trailers, hopByHopFields);
      return { passed, content, consumed: from + body.consumed - margin, done: true, fault: '', trailerFault: false };
    }
    expect(body.consumed, 'all of a piece belongs to a body that goes on').toBe(piece.length);
    piece.fill(0xdd);
    from = to;
  }
  return { passed, content, consumed: input.length, done: body.done, fault: '', trailerFault: false };
}

function followAtEverySplit(kind: BodyKind, length: number, text: string): Outcome {
  const whole = follow(kind, length, text);
  for (let split = 1; split < text.length; split++)
    expect(follow(kind, length, text, [split]), `split at ${split} of ${JSON.stringify(text)}`).toEqual(whole);
  expect(
    follow(
      kind,
      length,
      text,
      Array.from(text, (_, index) => index),
    ),
    'byte by byte',
  ).toEqual(whole);
  return whole;
}

function headOf(text: string, kind: 'request' | 'response'): Head {
  const head = new Head({ size: 4096, count: 32 });
  const input = Buffer.from(text, 'latin1');
  head.begin(input, 0);
  expect(kind === 'request' ? head.scanRequest(input.length) : head.scanResponse(input.length)).toBe(Scan.complete);
  return head;
}

describe('how a body ends', () => {
  test.each([
    ['', BodyKind.none],
    ['Content-Length: 0\r\n', BodyKind.none],
    ['Content-Length: 1\r\n', BodyKind.length],
    ['Transfer-Encoding: chunked\r\n', BodyKind.chunked],
  ])('request with «%s»', (lines, kind) => {
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE'])
      expect(requestBodyKind(headOf(`${method} / HTTP/1.1\r\nHost: h\r\n${lines}\r\n`, 'request'))).toBe(kind);
  });

  test.each([
    ['GET', 200, '', BodyKind.untilClose],
    ['GET', 200, 'Content-Length: 0\r\n', BodyKind.none],
    ['GET', 200, 'Content-Length: 5\r\n', BodyKind.length],
    ['GET', 200, 'Transfer-Encoding: chunked\r\n', BodyKind.chunked],
    ['HEAD', 200, '', BodyKind.none],
    ['HEAD', 200, 'Content-Length: 5\r\n', BodyKind.none],
    ['HEAD', 200, 'Transfer-Encoding: chunked\r\n', BodyKind.none],
    ['GET', 100, 'Content-Length: 5\r\n', BodyKind.none],
    ['GET', 204, 'Content-Length: 5\r\n', BodyKind.none],
    ['GET', 204, '', BodyKind.none],
    ['GET', 304, 'Content-Length: 5\r\n', BodyKind.none],
    ['GET', 304, 'Transfer-Encoding: chunked\r\n', BodyKind.none],
    ['GET', 205, '', BodyKind.untilClose],
    ['GET', 404, 'Content-Length: 5\r\n', BodyKind.length],
  ])('response to %s with %s and «%s»', (method, status, lines, kind) => {
    expect(responseBodyKind(headOf(`HTTP/1.1 ${status} R\r\n${lines}\r\n`, 'response'), method)).toBe(kind);
  });
});

describe('bodies with a length', () => {
  test('end at exactly that length, whatever the splits; the rest is left alone', () => {
    const text = fc.string({ unit: 'binary-ascii', maxLength: 60 });
    fc.assert(
      fc.property(
        text.filter((content) => content !== ''),
        text,
        fc.array(fc.nat(60), { maxLength: 6 }),
        (content, rest, splits) => {
          const expected = { passed: content, content, consumed: content.length, done: true, fault: '', trailerFault: false };
          expect(
            follow(
              BodyKind.length,
              content.length,
              content + rest,
              splits.sort((a, b) => a - b),
            ),
          ).toEqual(expected);
        },
      ),
    );
  });

  test('are not done before the last byte, nor by the end of the connection', () => {
    const body = new BodyReader();
    expect(follow(BodyKind.length, 10, 'short', [], body)).toMatchObject({ done: false, consumed: 5 });
    expect(body.endsAtClose()).toBe(false);
    expect(body.size).toBe(5);
  });

  test('of the largest size count down exactly', () => {
    const body = new BodyReader();
    expect(follow(BodyKind.length, 999_999_999_999_999, 'x'.repeat(100), [], body).done).toBe(false);
  });
});

describe('bodies that end with the connection', () => {
  test('take everything and are done when it closes', () => {
    const body = new BodyReader();
    expect(follow(BodyKind.untilClose, -1, 'HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n', [3, 9], body)).toMatchObject({
      done: false,
      content: 'HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n',
    });
    expect(body.endsAtClose()).toBe(true);
    expect(body.done).toBe(true);
  });
});

describe('no body', () => {
  test('takes nothing', () => {
    const body = new BodyReader();
    body.begin(BodyKind.none, -1);
    const piece = Buffer.from('next');
    expect([body.done, body.read(piece, 1, 4), body.consumed]).toEqual([true, 1, 1]);
  });
});

describe('chunked bodies', () => {
  test('pass on unchanged, whatever the splits, and leave the rest alone', () => {
    const chunk = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 30 });
    const trailer = fc.constantFrom('X-Sum: 1', 'Server-Timing: a;dur=1', 'X:', 'grpc-status: 0', 'X-y: \xe9');
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 6 }),
        fc.array(trailer, { maxLength: 4 }),
        fc.string({ unit: 'binary-ascii', maxLength: 9 }),
        fc.array(fc.nat(260), { maxLength: 9 }),
        (chunks, trailers, rest, splits) => {
          const text = `${chunks.map((content) => `${content.length.toString(16)}\r\n${content}\r\n`).join('')}0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`;
          const sorted = splits.sort((a, b) => a - b);
          expect(follow(BodyKind.chunked, -1, text + rest, sorted)).toEqual({
            passed: text,
            content: chunks.join(''),
            consumed: text.length,
            done: true,
            fault: '',
            trailerFault: false,
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  test('one reader serves one body after another', () => {
    const body = new BodyReader();
    for (const text of ['5\r\nhello\r\n0\r\nX: y\r\n\r\n', '0\r\n\r\n', '1\r\na\r\n0\r\n\r\nrest', 'x']) {
      for (const splits of [[], [3], [text.length - 1]])
        expect(follow(BodyKind.chunked, -1, text, splits, body)).toEqual(follow(BodyKind.chunked, -1, text, splits));
    }
  });

  test('are not done without the last empty line', () => {
    const text = '5\r\nhello\r\n0\r\nX: y\r\n\r\n';
    for (let length = 0; length < text.length; length++) {
      const body = new BodyReader();
      expect(follow(BodyKind.chunked, -1, text.slice(0, length), [], body).done, `${length} bytes`).toBe(false);
      expect(body.endsAtClose(), `${length} bytes, then the end`).toBe(false);
    }
  });

  test('hop-by-hop trailers that are not forbidden stay behind', () => {
    expect(followAtEverySplit(BodyKind.chunked, -1, '0\r\nX: y\r\nHTTP2-Settings: z\r\nX-2: y\r\n\r\n').passed).toBe('0\r\nX: y\r\nX-2: y\r\n\r\n');
  });

  const forbidden = Array.from(forbiddenTrailers.keys())
    .filter((id) => forbiddenTrailers[id] === 1)
    .map((id) => [fieldName(id)] as const);
  test('there are forbidden trailers', () => {
    expect(forbidden.length).toBeGreaterThan(15);
  });
  test.each(forbidden)('the trailer %s is refused at every split', (name) => {
    const outcome = followAtEverySplit(BodyKind.chunked, -1, `2\r\nhi\r\n0\r\nX: y\r\n${name.toUpperCase()}: 5\r\n\r\n`);
    expect(outcome).toMatchObject({ consumed: -1, trailerFault: true });
    expect(outcome.fault).not.toBe('');
  });

  test.each([
    ['obs-fold', '0\r\nX: a\r\n b\r\n\r\n'],
    ['a bare LF', '0\r\nX: a\n\r\n'],
    ['a bare LF as the end', '0\r\n\n'],
    ['a bare CR as the end', '0\r\n\rX'],
    ['a space before the colon', '0\r\nX : a\r\n\r\n'],
    ['a NUL', '0\r\nX: \0\r\n\r\n'],
    ['no colon', '0\r\nGET / HTTP/1.1\r\n\r\n'],
    ['too many fields', `0\r\n${'X: y\r\n'.repeat(33)}\r\n`],
    ['too many bytes', `0\r\nX: ${'y'.repeat(9000)}\r\n\r\n`],
  ])('a trailer section with %s is refused', (_, text) => {
    const outcome = text.length > 500 ? follow(BodyKind.chunked, -1, text) : followAtEverySplit(BodyKind.chunked, -1, text);
    expect(outcome).toMatchObject({ consumed: -1, trailerFault: true });
  });

  test('a malformed chunk is refused as such', () => {
    expect(followAtEverySplit(BodyKind.chunked, -1, '2\r\nhi\r\n0x0\r\n\r\n')).toMatchObject({ consumed: -1, trailerFault: false });
  });

  test('nothing of a trailer section that never ends is kept beyond its limit', () => {
    const body = new BodyReader();
    body.begin(BodyKind.chunked, -1);
    const start = Buffer.from('0\r\nX: ');
    expect(body.read(start, 0, start.length)).toBe(3);
    const more = Buffer.alloc(3000, 0x61);
    let refused = false;
    for (let i = 0; i < 4 && !refused; i++) refused = body.read(more, 0, more.length) < 0;
    expect(refused).toBe(true);
    expect(body.trailers?.bytes.length).toBeLessThanOrEqual(8193);
  });
});
