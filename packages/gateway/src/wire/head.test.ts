import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Field } from './field-names.js';
import { Head } from './head.js';
import { HeadGatherer } from './head-gatherer.js';
import { Scan } from './scan.js';
import { bytes, feed, get, type Kind, verdictAtEverySplit } from './testing/head-verdict.test.support.js';

describe('request heads that are taken', () => {
  test('framing and connection fields are read in any case', () => {
    const verdict = verdictAtEverySplit(
      get('tRANSFER-eNCODING: \t CHUNKED  \r\nEXPECT: 100-Continue\r\nconnection: Close, X-Mine\r\nConnection: upgrade\r\nupgrade: WebSocket\r\n'),
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
    const gatherer = new HeadGatherer(new Head({ size: 2048, count: 16 }));
    const first = bytes(get('Transfer-Encoding: chunked\r\nConnection: close\r\nExpect: 100-continue\r\n', 'HTTP/1.1'));
    const second = bytes('GET /b HTTP/1.0\r\n\r\n');
    for (const splits of [[], [1], [9, 20]]) {
      expect(feed(first, 'request', splits, undefined, gatherer).result).toBe(Scan.complete);
      gatherer.head.cutField(Field.host);
      expect(feed(second, 'request', splits, undefined, gatherer)).toEqual(feed(second, 'request'));
      expect(gatherer.head.value(Field.host)).toBeNull();
      expect(gatherer.head.cut[0]).toBe(0);
    }
  });

  test('a refused head says nothing of the one before it', () => {
    const head = new Head({ size: 2048, count: 16 });
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
