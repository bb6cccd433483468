import { isIPv6 } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rateLimitFields } from './rate-limit-fields.js';
import { addressKey, checkRules, digestKey } from './rate-rule.js';

describe('the key of an address', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:C000:0201', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::192.0.2.1', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['', 'unknown'],
    ['/run/socket', 'unknown'],
    [undefined, 'unknown'],
  ])('%s: %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });

  test('is the same for all of one /64 in all spellings, and another for each network', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    const groups = fc.tuple(group, group, group, group, group, group, group, group);
    fc.assert(
      fc.property(groups, groups, ([a, b, c, d], [, , , , e, f, g, h]) => {
        fc.pre(a !== 0);
        const hex = (part: number, width: number): string => part.toString(16).padStart(width, '0');
        const spellings = [1, 4].map((width) => [a, b, c, d, e, f, g, h].map((part) => hex(part, width)).join(':'));
        spellings.push(spellings[0]?.toUpperCase() ?? '', `${[a, b, c, d].map((part) => hex(part, 1)).join(':')}::`);
        for (const spelling of spellings) {
          expect(isIPv6(spelling)).toBe(true);
          expect(addressKey(spelling)).toBe(`${[a, b, c, d].map((part) => part.toString(16)).join(':')}::/64`);
        }
      }),
    );
  });
});

describe('rules', () => {
  test('have names for header fields and whole numbers', () => {
    checkRules({ 'per-address_1': { limit: 1, windowSeconds: 1 }, other: { limit: 1e9, windowSeconds: 604_800 } });
    for (const [name, limit, windowSeconds] of [
      ['"', 1, 1],
      ['', 1, 1],
      ['a', 0, 1],
      ['a', 1.5, 1],
      ['a', Number.NaN, 1],
      ['a', 1e9 + 1, 1],
      ['a', 1, 0],
      ['a', 1, 0.5],
      ['a', 1, 604_801],
    ] as const) {
      expect(() => checkRules({ [name]: { limit, windowSeconds } })).toThrow(RangeError);
    }
  });

  test('count the same key of two rules apart', () => {
    const digests = [digestKey('a', 'bc'), digestKey('ab', 'c'), digestKey('a', 'bd')];
    expect(new Set(digests).size).toBe(3);
    for (const digest of digests) expect(digest).toMatch(/^[\w-]{16}$/);
  });
});

describe('the header fields', () => {
  const rule = { limit: 100, windowSeconds: 60 };

  test('say the policy, what is left and when it begins anew', () => {
    const answer = { allowed: true, limit: 100, remaining: 7, resetMs: 1_001 };
    expect(rateLimitFields([{ name: 'actor', rule, answer }])).toEqual({
      'RateLimit-Policy': '"actor";q=100;w=60',
      RateLimit: '"actor";r=7;t=2',
    });
    expect(rateLimitFields([])).toEqual({});
  });

  test('say when to come back: not before the last rule that refused, and not at once', () => {
    const refused = (name: string, resetMs: number): Parameters<typeof rateLimitFields>[0][number] => ({
      name,
      rule,
      answer: { allowed: false, limit: 100, remaining: 0, resetMs },
    });
    const allowed = { name: 'c', rule, answer: { allowed: true, limit: 100, remaining: 1, resetMs: 50_000 } };
    expect(rateLimitFields([refused('a', 2_000), refused('b', 9_500), allowed])).toEqual({
      'RateLimit-Policy': '"a";q=100;w=60, "b";q=100;w=60, "c";q=100;w=60',
      RateLimit: '"a";r=0;t=2, "b";r=0;t=10, "c";r=1;t=50',
      'Retry-After': '10',
    });
    expect(rateLimitFields([refused('a', 0)])).toMatchObject({ 'Retry-After': '1' });
  });

  test('are structured fields whatever the numbers are', () => {
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 1e12, noNaN: true }), fc.boolean(), (remaining, resetMs, allowed) => {
        const fields = rateLimitFields([{ name: 'actor', rule, answer: { allowed, limit: 100, remaining, resetMs } }]);
        expect(fields.RateLimit).toMatch(/^"actor";r=\d{1,15};t=\d{1,15}$/);
        expect(fields['Retry-After'] ?? '1').toMatch(/^[1-9]\d*$/);
        expect('Retry-After' in fields).toBe(!allowed);
      }),
    );
  });
});
