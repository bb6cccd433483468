import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fieldId, fieldSet, hopByHopFields } from './field-names.js';
import { Head } from './head.js';
import { cutByPrefix, isFieldValue, keptLines, statusLine, trailerSection } from './head-writer.js';
import { Scan } from './scan.js';

function scan(text: string, kind: 'request' | 'response' = 'request'): Head {
  const head = new Head({ size: 8192, count: 64 });
  const bytes = Buffer.from(text, 'latin1');
  head.begin(bytes, 0);
  expect(kind === 'request' ? head.scanRequest(bytes.length) : head.scanResponse(bytes.length)).toBe(Scan.complete);
  return head;
}

const request = (...lines: string[]): Head => scan(`GET / HTTP/1.0\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
const none = fieldSet([]);

describe('lines that are kept', () => {
  test('exactly those that are neither dropped nor cut, byte for byte and in order', () => {
    const names = ['X-One', 'x-two', 'Accept', 'Authorization', 'TE', 'Keep-Alive', 'X-Unknown-3'];
    const line = fc.record({
      name: fc.constantFrom(...names),
      value: fc.string({ unit: fc.constantFrom('a', ' ', '\t', '\xe9', ':', ','), maxLength: 8 }),
      cut: fc.boolean(),
    });
    const dropped = fieldSet(['te', 'keep-alive', 'x-one']);
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
        const texts = lines.map(({ name, value }) => `${name}:${value}`);
        const head = request(...texts);
        for (const [index, { cut }] of lines.entries()) head.cut[index] = cut ? 1 : 0;
        const expected = texts.filter(
          (_, index) => !lines[index]?.cut && !['te', 'keep-alive', 'x-one'].includes(lines[index]?.name.toLowerCase() ?? ''),
        );
        expect(keptLines(head, dropped)).toBe(expected.map((text) => `${text}\r\n`).join(''));
      }),
    );
  });

  test('hop-by-hop fields and those that Connection nominates go, in any case and in several lines', () => {
    const head = request(
      'Connection: close, X-Mine',
      'x-MINE: 1',
      'A: 1',
      'connection: ,x-other ,',
      'X-Other: 2',
      'X-Othe: 3',
      'Proxy-Authorization: Basic x',
      'TE: trailers',
      'Upgrade: h2c',
    );
    expect(keptLines(head, hopByHopFields)).toBe('A: 1\r\nX-Othe: 3\r\n');
  });

  test('Connection cannot nominate its way around: what it names goes, nothing else does', () => {
    const head = request('Connection: keep-alive, host, "x", a b', 'X: 1', 'Host: h');
    expect(keptLines(head, none)).toBe('Connection: keep-alive, host, "x", a b\r\nX: 1\r\n');
  });

  test('cutting by prefix and by id', () => {
    const lines = ['X-Connect-Target-URL: 1', 'x-connect-: 2', 'X-Connec: 3', 'X-Connected: 4', 'X-Req: 5', 'X-Req: 6'];
    const byPrefix = request(...lines);
    cutByPrefix(byPrefix, 'x-connect-');
    expect(keptLines(byPrefix, none)).toBe('X-Connec: 3\r\nX-Connected: 4\r\nX-Req: 5\r\nX-Req: 6\r\n');
    const id = fieldId('x-writer-test');
    const byId = request('X-Writer-Test: 1', 'A: 2', 'x-writer-test: 3');
    byId.cutField(id);
    expect(keptLines(byId, none)).toBe('A: 2\r\n');
  });
});

describe('the rest of a head', () => {
  test.each([
    ['HTTP/1.0 200 OK', 'HTTP/1.1 200 OK\r\n'],
    ['HTTP/1.1 404 Not \xc4\xb0\t', 'HTTP/1.1 404 Not \xc4\xb0\t\r\n'],
    ['HTTP/1.1 204', 'HTTP/1.1 204 \r\n'],
    ['HTTP/1.1 200 OKAY', 'HTTP/1.1 200 OKAY\r\n'],
    ['HTTP/1.1 200 O', 'HTTP/1.1 200 O\r\n'],
    ['HTTP/1.1 201 OK', 'HTTP/1.1 201 OK\r\n'],
  ])('the status line of «%s»', (line, written) => {
    expect(statusLine(scan(`${line}\r\nX: y\r\n\r\n`, 'response'))).toBe(written);
  });

  test('a trailer section', () => {
    const trailers = new Head({ size: 1000, count: 10 });
    const bytes = Buffer.from('....X: 1\r\nKeep-Alive: 2\r\nY: 3\r\n\r\n');
    trailers.begin(bytes, 4);
    expect(trailers.scanTrailers(bytes.length)).toBe(Scan.complete);
    expect(trailerSection(trailers, hopByHopFields)).toBe('X: 1\r\nY: 3\r\n\r\n');
  });

  test('what may be a field value', () => {
    for (let code = 0; code < 0x120; code++) {
      const allowed = code === 9 || (code >= 0x20 && code !== 0x7f && code <= 0xff);
      expect(isFieldValue(`a${String.fromCharCode(code)}`), `0x${code.toString(16)}`).toBe(allowed);
    }
  });
});
