import { describe, expect, test } from 'vitest';
import { Head } from './head.js';
import { HeadGatherer } from './head-gatherer.js';
import { Scan } from './scan.js';
import { bytes, feed, get, scanner, verdictAtEverySplit } from './testing/head-verdict.test.support.js';

describe('request heads that are refused, at every split', () => {
  const ambiguous: Array<[string, string]> = [
    ['Content-Length and Transfer-Encoding', get('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n')],
    ['Transfer-Encoding and Content-Length', get('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n')],
    ['two Content-Length fields that differ', get('Content-Length: 5\r\nContent-Length: 6\r\n')],
    ['two Content-Length fields that agree', get('Content-Length: 5\r\nContent-Length: 5\r\n')],
    ['a zero and a real Content-Length', get('Content-Length: 0\r\nX: y\r\ncontent-length: 5\r\n')],
    ['a list in Content-Length', get('Content-Length: 5, 5\r\n')],
    ['a list of different lengths', get('Content-Length: 5,6\r\n')],
    ['an empty Content-Length', get('Content-Length:\r\n')],
    ['a blank Content-Length', get('Content-Length: \t \r\n')],
    ['a signed Content-Length', get('Content-Length: +5\r\n')],
    ['a negative Content-Length', get('Content-Length: -5\r\n')],
    ['a hexadecimal Content-Length', get('Content-Length: 0x5\r\n')],
    ['a fraction', get('Content-Length: 5.0\r\n')],
    ['an exponent', get('Content-Length: 1e3\r\n')],
    ['a space within', get('Content-Length: 5 0\r\n')],
    ['a parameter', get('Content-Length: 5;x\r\n')],
    ['an underscore', get('Content-Length: 1_0\r\n')],
    ['a digit that is not ASCII', get('Content-Length: \xb2\r\n')],
    ['a number beyond 15 digits', get('Content-Length: 1000000000000000\r\n')],
    ['a number that wraps at 64 bits', get('Content-Length: 18446744073709551621\r\n')],
    ['another coding', get('Transfer-Encoding: gzip\r\n')],
    ['another coding before chunked', get('Transfer-Encoding: gzip, chunked\r\n')],
    ['chunked before another coding', get('Transfer-Encoding: chunked, gzip\r\n')],
    ['chunked twice in a list', get('Transfer-Encoding: chunked, chunked\r\n')],
    ['chunked twice in two lines', get('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n')],
    ['chunked and identity in two lines', get('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n')],
    ['identity', get('Transfer-Encoding: identity\r\n')],
    ['xchunked', get('Transfer-Encoding: xchunked\r\n')],
    ['chunkedx', get('Transfer-Encoding: chunkedx\r\n')],
    ['chunke', get('Transfer-Encoding: chunke\r\n')],
    ['quoted', get('Transfer-Encoding: "chunked"\r\n')],
    ['with a parameter', get('Transfer-Encoding: chunked;q=1\r\n')],
    ['with a comma', get('Transfer-Encoding: chunked,\r\n')],
    ['a tab behind Transfer-Encoding', get('Transfer-Encoding: chunked \t\r\n')],
    ['a tab behind Content-Length', get('Content-Length: 5\t\r\n')],
    ['an empty Transfer-Encoding', get('Transfer-Encoding:\r\n')],
    ['chunked in HTTP/1.0', get('Transfer-Encoding: chunked\r\n', 'HTTP/1.0')],
    ['a letter that only looks like one', get('Transfer-Encoding: chun\xebed\r\n')],
  ];
  test.each(ambiguous)('ambiguous framing: %s', (_, text) => {
    expect(verdictAtEverySplit(text, 'request').result).toBe(Scan.ambiguous);
  });

  const malformed: Array<[string, string]> = [
    ['no Host in HTTP/1.1', 'GET /a HTTP/1.1\r\nX: y\r\n\r\n'],
    ['no field at all in HTTP/1.1', 'GET /a HTTP/1.1\r\n\r\n'],
    ['two Hosts', get('Host: h\r\n')],
    ['two Hosts that differ', get('hOST: i\r\n')],
    ['two Hosts in HTTP/1.0', get('Host: i\r\n', 'HTTP/1.0')],
    ['obs-fold with a space', get('X: a\r\n b\r\n')],
    ['obs-fold with a tab', get('X: a\r\n\tb\r\n')],
    ['obs-fold of the first field', 'GET /a HTTP/1.1\r\n Host: h\r\n\r\n'],
    ['a blank line that is not empty', get(' \r\n')],
    ['a space before the colon', get('X : a\r\n')],
    ['a tab before the colon', get('X\t: a\r\n')],
    ['a space before the colon of Transfer-Encoding', get('Transfer-Encoding : chunked\r\n')],
    ['a space within a name', get('X Y: a\r\n')],
    ['a line without a colon', get('X\r\n')],
    ['a field without a name', get(': a\r\n')],
    ['a bare LF after the request line', 'GET /a HTTP/1.1\nHost: h\r\n\r\n'],
    ['a bare LF after a field', 'GET /a HTTP/1.1\r\nHost: h\n\r\n'],
    ['a bare LF as the empty line', 'GET /a HTTP/1.1\r\nHost: h\r\n\n'],
    ['two bare LFs', 'GET /a HTTP/1.1\r\nHost: h\n\n'],
    ['a bare LF in a value', get('X: a\nY: b\r\n')],
    ['a bare LF in a name', get('X\n: a\r\n')],
    ['a bare CR after the request line', 'GET /a HTTP/1.1\rHost: h\r\n\r\n'],
    ['a bare CR in a value', get('X: a\rb\r\n')],
    ['a bare CR in a name', get('X\rY: a\r\n')],
    ['a bare CR as the empty line', 'GET /a HTTP/1.1\r\nHost: h\r\n\rX'],
    ['two CRs before the LF', get('X: a\r\r\n')],
    ['a bare CR before the request line', '\rGET /a HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a bare LF before the request line', '\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['two empty lines before the request line', '\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a space before the request line', ' GET /a HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a NUL in a value', get('X: a\0b\r\n')],
    ['a NUL in a name', get('X\0: a\r\n')],
    ['a NUL in the target', 'GET /a\0 HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a NUL in the method', 'GE\0T /a HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a NUL after the version', 'GET /a HTTP/1.1\0\r\nHost: h\r\n\r\n'],
    ['DEL in a value', get('X: a\x7fb\r\n')],
    ['a vertical tab around a value', get('Transfer-Encoding: \x0bchunked\r\n')],
    ['a form feed around a value', get('Transfer-Encoding: chunked\x0c\r\n')],
    ['a backspace in a value', get('X: a\x08b\r\n')],
    ['ESC in a value', get('X: a\x1bb\r\n')],
    ['a raw byte above ASCII in a name', get('X\xe9: a\r\n')],
    ['a raw byte above ASCII in the target', 'GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a tab in the request line', 'GET\t/a HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['two spaces before the target', 'GET  /a HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['two spaces before the version', 'GET /a  HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['no target', 'GET HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['no version', 'GET /a\r\nHost: h\r\n\r\n'],
    ['a space after the version', 'GET /a HTTP/1.1 \r\nHost: h\r\n\r\n'],
    ['a third digit in the version', 'GET /a HTTP/1.11\r\nHost: h\r\n\r\n'],
    ['a version in lower case', 'GET /a http/1.1\r\nHost: h\r\n\r\n'],
    ['another protocol', 'GET /a ICE/1.1\r\nHost: h\r\n\r\n'],
    ['a method that is no token', 'GE(T /a HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a method that is too long', `${'M'.repeat(33)} /a HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ...['(', ')', ',', '/', ';', '<', '=', '>', '?', '@', '[', '\\', ']', '{', '}', '"'].map((character): [string, string] => [
      `«${character}» in a field name`,
      get(`X${character}Y: a\r\n`),
    ]),
  ];
  test.each(malformed)('malformed: %s', (_, text) => {
    expect(verdictAtEverySplit(text, 'request').result).toBe(Scan.malformed);
  });

  test.each(['HTTP/2.0', 'HTTP/0.9', 'HTTP/1.2', 'HTTP/3', 'HTTP/9.9'])('another version: %s', (version) => {
    expect(verdictAtEverySplit(get('', version), 'request').result).toBe(Scan.versionUnsupported);
  });

  test('each control character, in a value and in the target', () => {
    for (let code = 0; code < 0x20; code++) {
      if (code === 0x09) continue;
      const character = String.fromCharCode(code);
      expect(feed(bytes(get(`X: a${character}b\r\n`)), 'request').result, `0x${code.toString(16)} in a value`).toBe(Scan.malformed);
      expect(feed(bytes(`GET /${character} HTTP/1.1\r\nHost: h\r\n\r\n`), 'request').result, `0x${code.toString(16)} in the target`).toBe(
        Scan.malformed,
      );
    }
  });

  test('the sentence about a refusal repeats no byte of the head', () => {
    for (const [, text] of [...ambiguous, ...malformed]) {
      const secret = text.replace('Host: h', 'Host: h\r\nX-Token: hunter2');
      expect(feed(bytes(secret), 'request').fault).not.toContain('hunter2');
    }
  });
});

describe('bounds', () => {
  const start = 'GET /a HTTP/1.1\r\nHost: h\r\n';
  const ofSize = (size: number): string => `${start}X: ${'v'.repeat(size - start.length - 7)}\r\n\r\n`;

  test('a head of exactly the limit is taken, one byte more is too large, at every split', () => {
    const bounds = { size: 300, count: 16 };
    expect(verdictAtEverySplit(ofSize(300), 'request', bounds)).toMatchObject({ result: Scan.complete, consumed: 300 });
    expect(verdictAtEverySplit(ofSize(301), 'request', bounds).result).toBe(Scan.tooLarge);
  });

  test('what is wrong beyond the limit does not matter: the head is too large', () => {
    const bounds = { size: 300, count: 16 };
    expect(verdictAtEverySplit(`${start}X: ${'v'.repeat(300)}\0\r\n\r\n`, 'request', bounds).result).toBe(Scan.tooLarge);
    expect(verdictAtEverySplit(`GET /${'a'.repeat(400)}\0`, 'request', bounds).result).toBe(Scan.tooLarge);
    expect(verdictAtEverySplit(`${start}${'n'.repeat(400)}`, 'request', bounds).result).toBe(Scan.tooLarge);
  });

  test('a head without an end is refused as soon as it passes the limit, and no more than that is kept', () => {
    const gatherer = new HeadGatherer(new Head({ size: 1500, count: 16 }));
    const piece = bytes(`${start}X: ${'v'.repeat(700)}`);
    expect(gatherer.feed(piece, 0, piece.length, scanner('request'))).toBe(Scan.incomplete);
    const more = Buffer.alloc(100_000, 0x76);
    expect(gatherer.feed(more, 0, more.length, scanner('request'))).toBe(Scan.tooLarge);
    expect(gatherer.head.bytes.length).toBeLessThanOrEqual(1501);
  });

  test('as many fields as the limit are taken, one more is too large, at every split', () => {
    const bounds = { size: 2048, count: 4 };
    expect(verdictAtEverySplit(get('A: 1\r\nB: 2\r\nC: 3\r\n'), 'request', bounds).result).toBe(Scan.complete);
    expect(verdictAtEverySplit(get('A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n'), 'request', bounds).result).toBe(Scan.tooLarge);
  });

  test.each([
    ['a value', (size: number) => `${start}X: ${'v'.repeat(size)}\r\n\r\n`],
    ['white space', (size: number) => `${start}X:${' '.repeat(size)}\r\n\r\n`],
    ['a name', (size: number) => `${start}${'n'.repeat(size)}: v\r\n\r\n`],
    ['the target', (size: number) => `GET /${'t'.repeat(size)} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['many fields', (size: number) => `${start}${'X: v\r\n'.repeat(size / 6)}\r\n`],
  ])('%s that trickles in costs no more reads of bytes than its length', (_, make) => {
    const input = bytes(make(6000));
    let reads = 0;
    const counted = new Proxy(input, {
      get(target, key) {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads++;
        return Reflect.get(target, key, target) as unknown;
      },
    });
    const head = new Head({ size: 10_000, count: 2000 });
    head.begin(counted, 0);
    for (let end = 1; end < input.length; end++) expect(head.scanRequest(end)).toBe(Scan.incomplete);
    expect(head.scanRequest(input.length)).toBe(Scan.complete);
    // Each call looks again at a few bytes of the line it is in: at most the method of 32 bytes.
    expect(reads).toBeLessThan(12 * input.length);
  });
});
