import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MASK, redactSecrets } from './redaction.js';

const secret = fc.string({ minLength: 4, maxLength: 24 });
/** Few letters, so that occurrences overlap and touch. */
const cramped = fc.string({ unit: fc.constantFrom('a', 'b', '%', '4', '1'), minLength: 4, maxLength: 6 });
/** Without half characters, which have no UTF-8 and so no percent-encoded form. */
const wide = fc.string({ unit: 'grapheme', minLength: 4, maxLength: 12 });

/** What is left of a redacted text between the masks. */
function rests(text: string): string[] {
  return text.split(MASK);
}

/** Every byte as a percent sign and two digits, or as itself where that is allowed and `choose` says so. */
function percentEncoded(text: string, choose: readonly boolean[]): string {
  return Array.from(Buffer.from(text, 'utf8'), (byte, index) => {
    const plain = /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte)) && choose[index % choose.length];
    const digits = byte.toString(16).padStart(2, '0');
    return plain ? String.fromCharCode(byte) : `%${index % 2 === 0 ? digits : digits.toUpperCase()}`;
  }).join('');
}

describe('redactSecrets', () => {
  test.each([
    ['key=hunter22!', ['hunter22'], 'key=[secret]!'],
    ['hunter22', ['hunter22'], '[secret]'],
    ['hunter22hunter22', ['hunter22'], '[secret]'],
    ['hunter22 hunter22', ['hunter22'], '[secret] [secret]'],
    ['abcdef', ['abcd', 'cdef'], '[secret]'],
    ['ababab', ['abab'], '[secret]'],
    ['/x/p%40ss%2fword/y', ['p@ss/word'], '/x/[secret]/y'],
    ['/x/%68unter22/y', ['hunter22'], '/x/[secret]/y'],
    ['the cat', ['cat', ''], 'the cat'],
    ['nothing % here %zz', ['hunter22'], 'nothing % here %zz'],
  ])('%j without %j is %j', (text, secrets, expected) => {
    expect(redactSecrets(text, secrets)).toBe(expected);
  });

  test('No value survives, wherever and however often it stands', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(secret, cramped), { minLength: 1, maxLength: 4 }),
        fc.array(fc.string()),
        fc.infiniteStream(fc.nat()),
        (secrets, noise, order) => {
          const text = noise.map((piece) => piece + secrets[(order.next().value ?? 0) % secrets.length]).join('');
          for (const rest of rests(redactSecrets(text, secrets))) for (const value of secrets) expect(rest).not.toContain(value);
        },
      ),
    );
  });

  test('No value survives in any spelling with percent signs', () => {
    fc.assert(
      fc.property(wide, fc.webPath(), fc.webPath(), fc.array(fc.boolean(), { minLength: 1 }), (value, before, after, choose) => {
        const encoded = percentEncoded(value, choose);
        const redacted = redactSecrets(`${before}/${encoded}/${after}`, [value]);
        expect(redacted).toContain(MASK);
        for (const rest of rests(redacted)) expect(rest).not.toContain(encoded);
      }),
    );
  });

  test('A text that holds no value stays as it is', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('0', '1', '2', '%') }), { maxLength: 3 }), fc.webPath(), (secrets, text) => {
        fc.pre(!/[0-2%]/.test(text));
        expect(redactSecrets(text, secrets)).toBe(text);
      }),
    );
  });

  test('A limit never shows the beginning of a value that goes on beyond it, nor anything after it', () => {
    fc.assert(
      fc.property(secret, fc.string({ unit: fc.constantFrom('é', ' ') }), fc.nat(40), fc.boolean(), (value, before, limit, encode) => {
        fc.pre(/^[\x21-\x24\x26-\x7e]+$/.test(value));
        const written = encode ? percentEncoded(value, [false]) : value;
        const redacted = redactSecrets(before + written + written, [value], limit);
        expect(redacted).toBe(before.length < limit ? before + MASK : before.slice(0, limit));
      }),
    );
  });
});
