import { TransactionContext, type TransactionFields } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contextHash, rawContextKey } from './context-hash.js';

const hash = (fields: Partial<TransactionFields>, caller: string | null = 'platform') =>
  contextHash(new TransactionContext({ targetUrl: 'https://h', ...fields }), caller);

/** Texts that are made of what an encoding is made of. */
const crafted = fc.stringMatching(/^[|:,\d"{}[\]sdaonft]{0,6}$/);
const wild = fc.oneof(crafted, fc.string({ unit: 'binary', maxLength: 4 }));
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    wild,
    fc.constantFrom(null, true, false, 0, 1, 1e21, '1', 'null', ''),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(wild, tie('value'), { maxKeys: 3 }),
  ),
})).value;
const fields = fc.record({
  targetUrl: crafted,
  environmentId: crafted,
  marketplaceId: crafted,
  vendorId: crafted,
  productId: crafted,
  subscriptionId: crafted,
  data: fc.oneof(fc.constant(null), fc.dictionary(wild, json, { maxKeys: 3 })),
});

/** What two contexts have to have in common to be the same; written differently from the code under test. */
function identity({ data, ...texts }: { data: Record<string, unknown> | null }, caller: string | null): string {
  const sorted = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(sorted);
    if (typeof part !== 'object' || part === null) return part;
    return [
      'object',
      Object.entries(part)
        .map(([key, one]) => [key, sorted(one)])
        .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    ];
  };
  return JSON.stringify([caller, Object.entries(texts), sorted(data ?? {})]);
}

describe('the hash of a context', () => {
  test('is SHA-256 in lower-case hex', () => {
    expect(hash({})).toMatch(/^[0-9a-f]{64}$/);
    expect(hash({})).toBe(hash({}));
  });

  test('is the same for two contexts exactly when they say the same', () => {
    fc.assert(
      fc.property(fields, fields, fc.constantFrom(null, '', 'a'), fc.constantFrom(null, '', 'a'), (a, b, callerA, callerB) => {
        expect(hash(a, callerA) === hash(b, callerB)).toBe(identity(a, callerA) === identity(b, callerB));
      }),
      { numRuns: 500 },
    );
  });

  test('differs when any part does, and does not know the trace id', () => {
    const parts = ['targetUrl', 'environmentId', 'marketplaceId', 'vendorId', 'productId', 'subscriptionId'];
    const hashes = new Set(parts.map((part) => hash({ [part]: 'x' })));
    expect(hashes.size).toBe(parts.length);
    expect(hash({ traceId: 'a' })).toBe(hash({ traceId: 'b' }));
    expect(hash({}, 'a')).not.toBe(hash({}, 'b'));
  });

  test('cannot be made to collide by what would be a separator', () => {
    // Where the parts are merely joined by a separator and their name, these two are the same.
    expect(hash({ marketplaceId: 'm|vendor:v', vendorId: '' })).not.toBe(hash({ marketplaceId: 'm', vendorId: 'v|vendor:' }));
    expect(hash({ environmentId: 'e|marketplace:m', marketplaceId: '' })).not.toBe(hash({ environmentId: 'e', marketplaceId: 'm' }));
  });

  test('does not depend on the order of keys, nor on data that says nothing', () => {
    expect(hash({ data: { a: { x: 1, y: [1, { p: 1, q: 2 }] }, b: 2 } })).toBe(hash({ data: { b: 2, a: { y: [1, { q: 2, p: 1 }], x: 1 } } }));
    expect(new Set([hash({}), hash({ data: null }), hash({ data: {} })]).size).toBe(1);
    expect(hash({ data: { a: null } })).not.toBe(hash({}));
    expect(hash({ data: { a: '\ud800' } })).not.toBe(hash({ data: { a: '\ufffd' } }));
  });

  test('is refused for data that is nested too deep or too large', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(hash({ data: { a: nested(60) } })).toMatch(/^[0-9a-f]{64}$/);
    expect(() => hash({ data: { a: nested(64) } })).toThrow(expect.objectContaining({ code: 'context_data_invalid', status: 400 }));
    expect(() => hash({ data: JSON.parse(`{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`) })).toThrow(
      expect.objectContaining({ code: 'context_data_invalid' }),
    );
    expect(() => hash({ data: { a: 'x'.repeat(1_048_576) } })).toThrow(expect.objectContaining({ code: 'context_data_invalid' }));
  });
});

test('a raw key is the same exactly when caller and values are', () => {
  const list = fc.array(fc.oneof(fc.constant(null), crafted), { minLength: 7, maxLength: 7 });
  const caller = fc.oneof(fc.constant(null), crafted);
  fc.assert(
    fc.property(list, list, caller, caller, (a, b, callerA, callerB) => {
      expect(rawContextKey(callerA, a) === rawContextKey(callerB, b)).toBe(JSON.stringify([callerA, a]) === JSON.stringify([callerB, b]));
    }),
  );
});
