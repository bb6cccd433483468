import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isBaggage, isTraceState } from './trace-lists.js';

describe('tracestate', () => {
  const key = fc.stringMatching(/^[a-z][a-z0-9_*/-]{0,20}$/);
  const value = fc.stringMatching(/^[!-+\-.-<>-~ ]{0,20}[!-+\-.-<>-~]$/);

  test('takes what the grammar allows, with white space around members', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(key, value), { minLength: 1, maxLength: 32, selector: ([name]) => name }), (members) => {
        expect(isTraceState(members.map((member) => member.join('=')).join(','))).toBe(true);
        expect(isTraceState(members.map((member) => ` \t${member.join('=')} `).join(', ,'))).toBe(true);
      }),
    );
  });

  test.each([
    ['nothing', ''],
    ['no value', 'a='],
    ['no key', '=1'],
    ['no equals sign', 'a'],
    ['an upper-case key', 'A=1'],
    ['the same key twice', 'a=1,b=2,a=3'],
    ['an equals sign in a value', 'a=b=c'],
    ['a control character', 'a=\u0001'],
    ['a character beyond ASCII', 'a=é'],
    ['a long key', `${'a'.repeat(257)}=1`],
    ['a long value', `a=${'b'.repeat(257)}`],
    ['33 members', Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(',')],
    ['a long system', `a@${'b'.repeat(15)}=1`],
  ])('refuses %s', (_, text) => {
    expect(isTraceState(text)).toBe(false);
  });

  test('takes keys and values at their limits', () => {
    expect(isTraceState(`${'a'.repeat(256)}=${'b'.repeat(256)},1a@sys=2,${'t'.repeat(241)}@${'s'.repeat(14)}=3`)).toBe(true);
  });

  test('never throws, and takes no time over hostile texts', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 5_000 }), (text) => {
        expect(typeof isTraceState(text)).toBe('boolean');
      }),
    );
    expect(isTraceState(`a=${' '.repeat(100_000)}`)).toBe(false);
  });
});

describe('baggage', () => {
  const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,10}$/);
  const octets = fc.stringMatching(/^[!#-+\--:<-[\]-~]{0,10}$/);
  const member = fc
    .tuple(token, octets, fc.array(fc.tuple(token, fc.option(octets)), { maxLength: 2 }))
    .map(([name, value, properties]) =>
      [`${name} = ${value}`, ...properties.map(([property, own]) => (own === null ? property : `${property}=${own}`))].join(' ; '),
    );

  test('takes what the grammar allows', () => {
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 10 }), (members) => {
        expect(isBaggage(members.join(' , '))).toBe(true);
      }),
    );
  });

  test.each([
    ['nothing', ''],
    ['no value', 'a'],
    ['no key', '=1'],
    ['an empty member', 'a=1,,b=2'],
    ['a space in a value', 'a=b c'],
    ['a quote', 'a="b"'],
    ['an empty property', 'a=1;'],
    ['a character beyond ASCII', 'a=é'],
    ['181 members', Array.from({ length: 181 }, (_, i) => `k${i}=1`).join(',')],
    ['more than 8192 bytes', `a=${'b'.repeat(8_191)}`],
  ])('refuses %s', (_, text) => {
    expect(isBaggage(text)).toBe(false);
  });
});
