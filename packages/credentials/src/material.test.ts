import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeText, plainMaterial } from './material.js';

describe('plainMaterial', () => {
  test.each([
    ['token', 'token'],
    ['token\n', 'token'],
    ['token\r\n', 'token'],
    ['token\n\n', 'token\n'],
    ['token\r', 'token\r'],
    ['a\nb\n', 'a\nb'],
    ['  token  \n', '  token  '],
  ])('%j becomes %j', (text, secret) => {
    expect(plainMaterial(text, null)?.secret.reveal()).toBe(secret);
  });

  test.each(['', '\n', '\r\n', ' \t\n'])('%j is nothing', (text) => {
    expect(plainMaterial(text, null)).toBeNull();
  });

  test('removes one line break and nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom('', '\n', '\r\n'), (text, end) => {
        fc.pre(text.trim() !== '' && !/[\r\n]$/.test(text));
        expect(plainMaterial(text + end, 7)?.secret.reveal()).toBe(text);
      }),
    );
  });

  test('prints no secret', () => {
    const material = plainMaterial('hunter2-marker', null);
    expect(`${inspect(material, { depth: null, showHidden: true })}${JSON.stringify(material)}`).not.toContain('hunter2');
  });
});

describe('decodeText', () => {
  test('gives back whatever was encoded, and refuses anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = decodeText(bytes);
        const bom = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
        if (text !== null) expect(Buffer.from(text)).toEqual(Buffer.from(bom ? bytes.subarray(3) : bytes));
        else expect(Buffer.from(bytes).toString()).toContain('\uFFFD');
      }),
    );
    expect(decodeText(Buffer.from('\uFEFFtoken'))).toBe('token');
    expect(decodeText(Buffer.from([0x74, 0xff]))).toBeNull();
  });
});
