import { Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseObject } from '../json-object.js';
import { decodeRecord, encodeRecord, freshRecord } from './token-record-json.js';
import type { TokenRecord } from './token-store.js';

const secret = fc.string({ minLength: 1, unit: 'binary' }).map((text) => new Secret(text));
const record: fc.Arbitrary<TokenRecord> = fc.record({
  refreshToken: secret,
  superseded: fc.array(secret, { maxLength: 8 }),
  lease: fc.option(fc.record({ owner: fc.string(), expiresAt: fc.nat() })),
  unknownSince: fc.option(fc.nat()),
});

test('every record comes back as it was', () => {
  fc.assert(
    fc.property(record, (one) => {
      const decoded = decodeRecord(encodeRecord(one));
      expect(decoded?.refreshToken.reveal()).toBe(one.refreshToken.reveal());
      expect(decoded?.superseded.map((token) => token.reveal())).toEqual(one.superseded.map((token) => token.reveal()));
      expect([decoded?.lease, decoded?.unknownSince]).toEqual([one.lease, one.unknownSince]);
    }),
  );
});

test('no text makes it throw', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => [parseObject(text), decodeRecord(text)].length === 2));
});

const good = { version: 1, refresh_token: 't', superseded: ['s'], lease: { owner: 'o', expires_at: 1 }, unknown_since: 2 };

test('further members are passed over', () => {
  expect(decodeRecord(JSON.stringify({ ...good, number: 3 }))).toMatchObject({ lease: { owner: 'o', expiresAt: 1 }, unknownSince: 2 });
});

test.each<[string, unknown]>([
  ['another version', { ...good, version: 2 }],
  ['no version', { ...good, version: undefined }],
  ['no token', { ...good, refresh_token: undefined }],
  ['an empty token', { ...good, refresh_token: '' }],
  ['a token that is no text', { ...good, refresh_token: 7 }],
  ['no superseded tokens', { ...good, superseded: undefined }],
  ['an empty superseded token', { ...good, superseded: [''] }],
  ['no lease', { ...good, lease: undefined }],
  ['a lease without an owner', { ...good, lease: { expires_at: 1 } }],
  ['a lease without an end', { ...good, lease: { owner: 'o' } }],
  ['a journal that is no time', { ...good, unknown_since: 'now' }],
  ['no journal', { ...good, unknown_since: undefined }],
  ['a list', [good]],
  ['null', null],
])('%s is no record', (_name, value) => {
  expect(decodeRecord(JSON.stringify(value))).toBeNull();
});

test('a fresh record has nothing but its token', () => {
  expect(decodeRecord(encodeRecord(freshRecord(new Secret('t'))))).toMatchObject({ superseded: [], lease: null, unknownSince: null });
});
