import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Field, fieldId, fieldName, fieldSet, hopByHopFields } from './field-names.js';
import { Head, type HeadLimits, Scan, type ScanResult } from './head.js';
import { HeadGatherer } from './head-gatherer.js';

const limits: HeadLimits = { size: 2048, count: 16 };

type Kind = 'request' | 'response';

/** All that a scan says about a head, free of offsets. */
interface Verdict {
  result: ScanResult;
  fault: string;
  /** One past the head in the whole input; −1 when it is not complete. */
  consumed: number;
  head: unknown;
}

function scanner(kind: Kind): (head: Head, end: number) => ScanResult {
  return kind === 'request' ? (head, end) => head.scanRequest(end) : (head, end) => head.scanResponse(end);
}

function meaning(head: Head, kind: Kind): unknown {
  const fields: Array<[string, string, number]> = [];
  for (let i = 0; i < head.count; i++) fields.push([head.nameAt(i), head.valueAt(i), head.id[i]]);
  return {
    start: kind === 'request' ? [head.method, head.target] : [head.statusCode, head.target],
    minorVersion: head.minorVersion,
    fields,
    lines: Array.from({ length: head.count }, (_, i) => head.bytes.toString('latin1', head.nameStart[i], head.lineEnd[i])),
    block: head.bytes.toString('latin1', head.fieldsStart, head.end),
    framing: [head.contentLength, head.chunked, head.expectsContinue, head.hosts],
    connection: [head.connectionClose, head.connectionKeepAlive, head.connectionUpgrade, head.upgradeWebSocket, head.nominatesFields],
    hostIndex: head.indexOf(Field.host),
  };
}

/** Feeds the input in pieces that end at `splits`. Every piece lies in a buffer that is overwritten once it was fed, as read buffers are. */
function feed(input: Buffer, kind: Kind, splits: readonly number[] = [], bounds = limits, gatherer = new HeadGatherer(new Head(bounds))): Verdict {
  const scan = scanner(kind);
  let from = 0;
  for (const to of [...splits, input.length]) {
    if (to <= from) continue;
    const margin = from % 7;
    const piece = Buffer.concat([Buffer.alloc(margin, 0x20), input.subarray(from, to)]);
    const result = gatherer.feed(piece, margin, piece.length, scan);
    if (result !== Scan.incomplete) {
      const complete = result === Scan.complete;
      const verdict: Verdict = {
        result,
        fault: gatherer.head.fault,
        consumed: complete ? from + gatherer.consumed - margin : -1,
        head: complete ? meaning(gatherer.head, kind) : null,
      };
      return verdict;
    }
    piece.fill(0xdd);
    from = to;
  }
  return { result: Scan.incomplete, fault: '', consumed: -1, head: null };
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** The verdict on the whole input, after it was found to be the same at every split in two and byte by byte. */
function verdictAtEverySplit(text: string, kind: Kind, bounds = limits): Verdict {
  const input = bytes(text);
  const whole = feed(input, kind, [], bounds);
  for (let split = 1; split < input.length; split++) {
    expect(feed(input, kind, [split], bounds), `split at ${split} of ${JSON.stringify(text.slice(0, 300))}`).toEqual(whole);
  }
  expect(feed(input, kind, everyByte(input), bounds), 'byte by byte').toEqual(whole);
  return whole;
}

function everyByte(input: Buffer): number[] {
  return Array.from({ length: input.length }, (_, index) => index);
}

const get = (lines: string, version = 'HTTP/1.1'): string => `GET /a ${version}\r\nHost: h\r\n${lines}\r\n`;

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

describe('request heads that are taken', () => {
  test('framing and connection fields are read in any case', () => {
    const verdict = verdictAtEverySplit(
      get('tRANSFER-eNCODING: \t CHUNKED \t \r\nEXPECT: 100-Continue\r\nconnection: Close, X-Mine\r\nConnection: upgrade\r\nupgrade: WebSocket\r\n'),
      'request',
    );
    expect(verdict.result).toBe(Scan.complete);
    expect(verdict.head).toMatchObject({ framing: [-1, true, true, 1], connection: [true, false, true, true, true] });
  });

  test('Content-Length up to fifteen digits', () => {
    expect(verdictAtEverySplit(get('Content-Length: 999999999999999\r\n'), 'request').head).toMatchObject({
      framing: [999_999_999_999_999, false, false, 1],
    });
    expect(verdictAtEverySplit(get('Content-Length: 0\r\n'), 'request').head).toMatchObject({ framing: [0, false, false, 1] });
  });

  test('HTTP/1.0 without Host, with keep-alive', () => {
    const verdict = verdictAtEverySplit('GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n', 'request');
    expect(verdict.head).toMatchObject({ minorVersion: 0, connection: [false, true, false, false, false], hostIndex: -1 });
  });

  test('one empty line in front of the request line is passed over', () => {
    const verdict = verdictAtEverySplit('\r\nPOST /a HTTP/1.1\r\nHost: h\r\n\r\n', 'request');
    expect(verdict).toMatchObject({ result: Scan.complete, consumed: 31, head: { start: ['POST', '/a'] } });
  });

  test('bytes above ASCII pass through a value as they are', () => {
    const value = Array.from({ length: 128 }, (_, index) => String.fromCharCode(index + 128)).join('');
    const verdict = verdictAtEverySplit(get(`X: ${value}\r\n`), 'request');
    expect((verdict.head as { fields: unknown[] }).fields[1]).toEqual(['x', value, 0]);
  });

  test('empty values, white space within, and a colon', () => {
    const verdict = verdictAtEverySplit(get('A:\r\nB: \t\r\nC:  a \t b:c  \r\n'), 'request');
    expect((verdict.head as { fields: unknown[] }).fields.slice(1)).toEqual([
      ['a', '', 0],
      ['b', '', 0],
      ['c', 'a \t b:c', 0],
    ]);
  });

  test('one instance serves one head after another and forgets each', () => {
    const gatherer = new HeadGatherer(new Head(limits));
    const first = bytes(get('Transfer-Encoding: chunked\r\nConnection: close\r\nExpect: 100-continue\r\n', 'HTTP/1.1'));
    const second = bytes('GET /b HTTP/1.0\r\n\r\n');
    for (const splits of [[], [1], [9, 20]]) {
      expect(feed(first, 'request', splits, limits, gatherer).result).toBe(Scan.complete);
      gatherer.head.cutField(Field.host);
      expect(feed(second, 'request', splits, limits, gatherer)).toEqual(feed(second, 'request'));
      expect(gatherer.head.value(Field.host)).toBeNull();
      expect(gatherer.head.cut[0]).toBe(0);
    }
  });

  test('a refused head says nothing of the one before it', () => {
    const head = new Head(limits);
    const good = bytes('DELETE /b HTTP/1.0\r\nHost: h\r\n\r\n');
    head.begin(good, 0);
    head.scanRequest(good.length);
    const bad = bytes('(');
    head.begin(bad, 0);
    expect(head.scanRequest(bad.length)).toBe(Scan.malformed);
    expect([head.method, head.target, head.minorVersion, head.count, head.value(Field.host)]).toEqual(['', '', 1, 0, null]);
  });
});

describe('response heads', () => {
  const ok = (lines: string, start = 'HTTP/1.1 200 OK'): string => `${start}\r\n${lines}\r\n`;

  test.each([
    ['four digits', ok('', 'HTTP/1.1 2000 OK')],
    ['no space after the code', ok('', 'HTTP/1.1 200OK')],
    ['two digits', ok('', 'HTTP/1.1 20 OK')],
    ['a signed code', ok('', 'HTTP/1.1 +20 OK')],
    ['a code below 100', ok('', 'HTTP/1.1 099 OK')],
    ['no code', ok('', 'HTTP/1.1')],
    ['a tab before the code', ok('', 'HTTP/1.1\t200 OK')],
    ['two spaces before the code', ok('', 'HTTP/1.1  200 OK')],
    ['a tab after the code', ok('', 'HTTP/1.1 200\tOK')],
    ['a bare LF', 'HTTP/1.1 200 OK\n\n'],
    ['a bare CR in the reason', ok('', 'HTTP/1.1 200 O\rK')],
    ['a NUL in the reason', ok('', 'HTTP/1.1 200 O\0K')],
    ['HTTP/2', ok('', 'HTTP/2 200')],
    ['another protocol', ok('', 'ICY 200 OK')],
    ['an empty line in front', ok('', '\r\nHTTP/1.1 200 OK')],
    ['obs-fold', ok('X: a\r\n b\r\n')],
  ])('malformed: %s', (_, text) => {
    expect(verdictAtEverySplit(text, 'response').result).toBe(Scan.malformed);
  });

  test.each([
    ['both framings', ok('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n')],
    ['two lengths', ok('Content-Length: 5\r\nContent-Length: 5\r\n')],
    ['another coding', ok('Transfer-Encoding: gzip, chunked\r\n')],
    ['chunked in HTTP/1.0', ok('Transfer-Encoding: chunked\r\n', 'HTTP/1.0 200 OK')],
  ])('ambiguous: %s', (_, text) => {
    expect(verdictAtEverySplit(text, 'response').result).toBe(Scan.ambiguous);
  });

  test.each([
    ['HTTP/1.1 200 OK', 200, 'OK'],
    ['HTTP/1.1 200 ', 200, ''],
    ['HTTP/1.1 200', 200, ''],
    ['HTTP/1.0 599 Not \xc4\xb0t\t!', 599, 'Not \xc4\xb0t\t!'],
    ['HTTP/1.1 101 Switching Protocols', 101, 'Switching Protocols'],
    ['HTTP/1.1 999 ?', 999, '?'],
  ])('%s', (start, code, reason) => {
    expect(verdictAtEverySplit(ok('X: y\r\n', start), 'response').head).toMatchObject({ start: [code, reason] });
  });
});

describe('any valid head, split anywhere', () => {
  const tokenCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const framing = new Set(['host', 'content-length', 'transfer-encoding']);
  const token = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: fc.constantFrom(...tokenCharacters), minLength: 1, maxLength });
  const name = fc.oneof(
    token(20),
    fc.constantFrom('Accept', 'TE', 'Trailer', 'X-Request-Id', 'Proxy-Authorization', 'Expect', 'Connection', 'Upgrade', 'content-typE'),
  );
  const valueCharacter = fc
    .integer({ min: 0x21, max: 0xff })
    .filter((code) => code !== 0x7f)
    .map((code) => String.fromCharCode(code));
  const inner = fc.string({
    unit: fc.oneof({ weight: 9, arbitrary: valueCharacter }, { weight: 1, arbitrary: fc.constantFrom(' ', '\t') }),
    maxLength: 30,
  });
  const space = fc.string({ unit: fc.constantFrom(' ', '\t'), maxLength: 3 });
  const field = fc.record({ name: name.filter((text) => !framing.has(text.toLowerCase())), before: space, value: inner, after: space });
  const target = fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)), minLength: 1, maxLength: 60 });
  const head = fc.record({
    method: token(32),
    target,
    minor: fc.constantFrom(0, 1),
    fields: fc.array(field, { maxLength: 12 }),
    length: fc.option(fc.integer({ min: 0, max: 1e15 - 1 })),
    rest: fc.string({ unit: 'binary', maxLength: 5 }),
    splits: fc.array(fc.nat(900), { maxLength: 12 }),
  });
  const trimmed = (text: string): string => text.replace(/^[ \t]+|[ \t]+$/g, '');

  test('it means what was written, whatever the splits', () => {
    fc.assert(
      fc.property(head, ({ method, target: path, minor, fields, length, rest, splits }) => {
        const lines = [
          'Host: h',
          ...fields.map(({ name: fieldText, before, value, after }) => `${fieldText}:${before}${value}${after}`),
          ...(length === null ? [] : [`Content-Length: ${length}`]),
        ];
        const text = `${method} ${path} HTTP/1.${minor}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
        const input = Buffer.concat([bytes(text), Buffer.from(rest)]);
        const expected = [
          ['host', 'h'],
          ...fields.map((each) => [each.name.toLowerCase(), trimmed(each.value)]),
          ...(length === null ? [] : [['content-length', String(length)]]),
        ];
        const whole = feed(input, 'request', [], { size: 4096, count: 14 });
        expect(whole).toMatchObject({ result: Scan.complete, consumed: text.length, head: { start: [method, path], minorVersion: minor } });
        expect((whole.head as { fields: string[][] }).fields.map(([fieldText, value]) => [fieldText, value])).toEqual(expected);
        expect((whole.head as { lines: string[] }).lines).toEqual(lines.map((line) => `${line}\r\n`));
        const sorted = splits.filter((split) => split < text.length).sort((a, b) => a - b);
        expect(feed(input, 'request', sorted, { size: 4096, count: 14 })).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });

  test('any bytes get the same verdict whatever the splits', () => {
    const pieces = fc.constantFrom(
      'GET ',
      '/a',
      ' HTTP/1.1',
      '\r\n',
      '\r',
      '\n',
      'Host: h',
      'X',
      ':',
      ' ',
      '\t',
      '\0',
      'Content-Length: 1',
      'Transfer-Encoding: chunked',
      '\xff',
      'HTTP/1.1 200',
    );
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 20 }),
        fc.constantFrom<Kind>('request', 'response'),
        fc.array(fc.nat(120), { maxLength: 6 }),
        (parts, kind, splits) => {
          const input = bytes(parts.join(''));
          const sorted = splits.sort((a, b) => a - b).filter((split) => split < input.length);
          const bounds = { size: 100, count: 3 };
          expect(feed(input, kind, sorted, bounds)).toEqual(feed(input, kind, [], bounds));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('field ids', () => {
  test('a name has one id in any case, and the id its name', () => {
    const id = fieldId('X-Sallyport-Test-Name');
    expect(fieldId('x-sallyport-TEST-name')).toBe(id);
    expect(fieldName(id)).toBe('x-sallyport-test-name');
    expect(fieldId('content-length')).toBe(Field.contentLength);
    expect(fieldName(0)).toBe('');
  });

  test('the scanner finds every registered name in any case, and gives 0 to any other', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(Field)), fc.integer(), (key, seed) => {
        const id = Field[key as keyof typeof Field];
        const name = fieldName(id);
        const mixed = [...name].map((character, index) => ((seed >> (index % 30)) & 1 ? character.toUpperCase() : character)).join('');
        const verdict = feed(
          bytes(`GET / HTTP/1.0\r\n${mixed}: ${id === Field.contentLength ? '1' : 'chunke'}\r\nX${mixed}: 1\r\n${name.slice(0, -1)}~: 1\r\n\r\n`),
          'request',
        );
        if (id === Field.transferEncoding) expect(verdict.result).toBe(Scan.ambiguous);
        else expect((verdict.head as { fields: unknown[][] }).fields.map((field) => field[2])).toEqual([id, 0, 0]);
      }),
    );
  });

  test('names that collide in the table stay apart', () => {
    const names = Array.from({ length: 600 }, (_, index) => `x-collide-${index}`);
    const ids = names.map((name) => fieldId(name));
    expect(new Set(ids).size).toBe(names.length);
    const input = bytes(`GET / HTTP/1.0\r\n${names.map((name) => `${name.toUpperCase()}: 1\r\n`).join('')}\r\n`);
    const verdict = feed(input, 'request', [], { size: 100_000, count: 1000 });
    expect((verdict.head as { fields: unknown[][] }).fields.map((field) => field[2])).toEqual(ids);
  });

  test('a name that is no token is refused', () => {
    for (const name of ['', ' ', 'a b', 'a:', 'a\r\n', 'é', '\u0161']) expect(() => fieldId(name)).toThrow(RangeError);
  });

  test('sets hold what they were made of', () => {
    const set = fieldSet(['Host', 'X-Sallyport-Other']);
    expect([set[Field.host], set[fieldId('x-sallyport-other')], set[Field.te], set[0]]).toEqual([1, 1, 0, 0]);
    expect(hopByHopFields[Field.connection]).toBe(1);
    expect(hopByHopFields[Field.authorization]).toBe(0);
  });
});
