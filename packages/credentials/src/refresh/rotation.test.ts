import { Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TokenRecord } from '../stores/token-store.js';
import { type Rotation, withNewToken, withoutLease, withRotation } from './rotation.js';
import { tokensOf } from './stored-record.test.support.js';

const secret = fc.integer({ min: 0, max: 12 }).map((n) => new Secret(`token ${n}`));
const owner = fc.constantFrom('mine', 'sibling');
const record: fc.Arbitrary<TokenRecord> = fc
  .record({
    refreshToken: secret,
    superseded: fc.uniqueArray(secret, { maxLength: 8, selector: (token) => token.reveal() }),
    lease: fc.option(fc.record({ owner, expiresAt: fc.nat() })),
    unknownSince: fc.option(fc.nat()),
  })
  .map((made) => ({ ...made, superseded: made.superseded.filter((token) => token.reveal() !== made.refreshToken.reveal()) }));
const rotation: fc.Arbitrary<Rotation> = fc
  .record({ presented: secret, successor: secret, owner: fc.option(owner) })
  .filter(({ presented, successor }) => presented.reveal() !== successor.reveal());

describe('a rotation that meets a record', () => {
  test('drops no token, as long as there is room', () => {
    fc.assert(
      fc.property(record, rotation, (before, one) => {
        const after = withRotation(before, one) ?? before;
        expect(tokensOf(after)).toContain(one.successor.reveal());
        expect(after.superseded.length).toBeLessThanOrEqual(8);
        const wanted = tokensOf(before).slice(0, 8);
        expect(tokensOf(after)).toEqual(expect.arrayContaining(wanted.slice(0, 7)));
        expect(new Set(tokensOf(after)).size).toBe(tokensOf(after).length);
      }),
    );
  });

  test('replaces the token that was presented, and no other', () => {
    fc.assert(
      fc.property(record, rotation, (before, one) => {
        const after = withRotation(before, one) ?? before;
        const fresh = !tokensOf(before).includes(one.successor.reveal());
        const replaced = fresh && before.refreshToken.reveal() === one.presented.reveal();
        expect(after.refreshToken.reveal()).toBe((replaced ? one.successor : before.refreshToken).reveal());
      }),
    );
  });

  test('ends its own lease and journal, and never those of another', () => {
    fc.assert(
      fc.property(record, rotation, (before, one) => {
        const after = withRotation(before, one) ?? before;
        const own = one.owner !== null && before.lease?.owner === one.owner;
        expect([after.lease, after.unknownSince]).toEqual(own ? [null, null] : [before.lease, before.unknownSince]);
      }),
    );
  });

  test('changes nothing the second time', () => {
    fc.assert(
      fc.property(record, rotation, (before, one) => {
        expect(withRotation(withRotation(before, one) ?? before, one)).toBeNull();
      }),
    );
  });
});

test('a lease is given back only by its owner', () => {
  fc.assert(
    fc.property(record, owner, fc.option(fc.nat()), (before, who, unknownSince) => {
      const after = withoutLease(before, who, unknownSince);
      expect(after).toEqual(before.lease?.owner === who ? { ...before, lease: null, unknownSince } : null);
    }),
  );
});

test('a new token supersedes the one before it', () => {
  fc.assert(
    fc.property(record, secret, (before, token) => {
      const after = withNewToken(before, token);
      expect(after).toMatchObject({ refreshToken: token, lease: null, unknownSince: null });
      expect(tokensOf(after)).toContain(before.refreshToken.reveal());
      expect(after.superseded.length).toBeLessThanOrEqual(8);
    }),
  );
});
