import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { element, objectIdentifier, TAG } from '../der.js';
import { parseDistinguishedName, readName, sameName } from './distinguished-name.js';

const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8');
const pair = (oid: string, tag: number, content: Buffer): Buffer => element(TAG.sequence, objectIdentifier(oid), element(tag, content));
const name = (...sets: Buffer[][]): Buffer => element(TAG.sequence, ...sets.map((pairs) => element(TAG.set, ...pairs)));

describe('a name as text', () => {
  test.each([
    ['CN=platform', [['2.5.4.3=platform']]],
    ['CN=platform,O=Acme', [['2.5.4.3=platform'], ['2.5.4.10=Acme']]],
    ['cn = platform , o = Acme', [['2.5.4.3=platform'], ['2.5.4.10=Acme']]],
    ['CN=a\\,O\\=b', [['2.5.4.3=a,O=b']]],
    ['CN=a=b', [['2.5.4.3=a=b']]],
    ['CN="a,CN=admin"', [['2.5.4.3=a,CN=admin']]],
    ['CN="a\\"b" , O=c', [['2.5.4.3=a"b'], ['2.5.4.10=c']]],
    ['CN=\\20a\\ ', [['2.5.4.3= a ']]],
    ['CN=Lu\\C4\\8Di\\C4\\87', [['2.5.4.3=Lučić']]],
    ['CN=Lučić', [['2.5.4.3=Lučić']]],
    ['OU=b+CN=a,O=c', [['2.5.4.11=b', '2.5.4.3=a'], ['2.5.4.10=c']]],
    ['1.2.3.4=x,UID=1,DC=com', [['1.2.3.4=x'], ['0.9.2342.19200300.100.1.1=1'], ['0.9.2342.19200300.100.1.25=com']]],
    ['CN=😀', [['2.5.4.3=😀']]],
  ])('%s', (text, expected) => {
    const built = expected.map((pairs) =>
      pairs.map((one) => pair(one.slice(0, one.indexOf('=')), TAG.utf8String, utf8(one.slice(one.indexOf('=') + 1)))),
    );
    expect(sameName(parseDistinguishedName(text), readName(name(...built)))).toBe(true);
  });

  test.each([
    ['', 1],
    ['platform', 1],
    ['CN', 1],
    ['XX=a', 1],
    ['/C=US/CN=a', 1],
    ['CN=a,', 6],
    ['CN=', 4],
    ['CN=a,,O=b', 6],
    ['CN=a;O=b', 5],
    ['CN=a"b', 5],
    ['CN="a', 4],
    ['CN="a"b', 7],
    ['CN=a\\', 5],
    ['CN=a\\x', 5],
    ['CN=\\ff', 4],
    ['CN=#0401', 4],
    [`CN=${'a'.repeat(3_000)}`, 1],
  ])('refuses %j at column %d', (text, column) => {
    expect(() => parseDistinguishedName(text)).toThrow(expect.objectContaining({ code: 'config_invalid', members: { column } }));
  });

  test('is another name with another order of more than two parts, another case or another part', () => {
    const one = parseDistinguishedName('CN=a,OU=b,O=c');
    expect(sameName(one, parseDistinguishedName('O=c,OU=b,CN=a'))).toBe(true);
    for (const other of ['OU=b,CN=a,O=c', 'CN=A,OU=b,O=c', 'CN=a,OU=b', 'CN=a,OU=b,O=c,C=US', 'CN=a+OU=b,O=c', 'CN=a\\,OU=b,O=c']) {
      expect(sameName(one, parseDistinguishedName(other))).toBe(false);
    }
  });

  test('any value that is escaped means itself, and nothing that it holds is a part of its own', () => {
    const value = fc.string({
      unit: fc.constantFrom('a', ',', '=', '+', '"', '\\', ' ', '#', ';', '<', 'CN', 'ä', '\0', '\n'),
      minLength: 1,
      maxLength: 12,
    });
    const types = fc.constantFrom(['CN', '2.5.4.3'], ['O', '2.5.4.10'], ['DC', '0.9.2342.19200300.100.1.25']);
    fc.assert(
      fc.property(fc.array(fc.tuple(types, value), { minLength: 1, maxLength: 4 }), (parts) => {
        const escaped = (text: string) => [...utf8(text)].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
        const text = parts.map(([[type], written]) => `${type}=${escaped(written)}`).join(',');
        const der = name(...parts.map(([[, oid], written]) => [pair(oid as string, TAG.utf8String, utf8(written))]));
        expect(parseDistinguishedName(text)).toEqual(readName(der));
      }),
    );
  });

  test('reads any text or refuses it with our error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('CN', '=', ',', '\\', '"', '+', ' ', 'a', '2c') })), (text) => {
        try {
          expect(parseDistinguishedName(text).length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'config_invalid' });
        }
      }),
    );
  });
});

describe('a name in a certificate', () => {
  test('is the same in every type of string', () => {
    const expected = parseDistinguishedName('CN=Lu');
    for (const tag of [0x0c, 0x13, 0x14, 0x16]) expect(readName(name([pair('2.5.4.3', tag, utf8('Lu'))]))).toEqual(expected);
    expect(readName(name([pair('2.5.4.3', 0x1e, Buffer.of(0, 0x4c, 0, 0x75))]))).toEqual(expected);
    expect(readName(name([pair('2.5.4.3', TAG.octetString, utf8('Lu'))]))).not.toEqual(expected);
  });

  test('is what another library writes', () => {
    const parts: x509.JsonNameParams = [{ C: ['DE'] }, { O: ['Acme, Inc.'] }, { CN: ['a,CN=admin'] }];
    const der = Buffer.from(new x509.Name(parts).toArrayBuffer());
    expect(sameName(readName(der), parseDistinguishedName('CN=a\\,CN=admin,O=Acme\\, Inc.,C=DE'))).toBe(true);
    expect(sameName(readName(der), parseDistinguishedName('CN=admin,CN=a,O=Acme\\, Inc.,C=DE'))).toBe(false);
  });
});
