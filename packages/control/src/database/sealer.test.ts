import { Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, type Json } from './canonical-json.js';
import { isId, newId } from './ids.js';
import { createSealer } from './sealer.js';

const sealer = createSealer([new Secret('a key that is long enough')]);

test('what was sealed opens under its context and no other', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), fc.string(), (text, context, other) => {
      const sealed = sealer.seal(text, context);
      expect(sealer.open(sealed, context)).toBe(text);
      if (other !== context) expect(sealer.open(sealed, other)).toBeUndefined();
    }),
  );
});

test('two seals of one text differ', () => {
  expect(sealer.seal('a', '')).not.toBe(sealer.seal('a', ''));
});

test('digests are equal for equal texts under one key and context', () => {
  expect(sealer.digest('a', 'b')).toBe(sealer.digest('a', 'b'));
  expect(sealer.digest('a', 'b')).not.toBe(sealer.digest('ba', ''));
  expect(sealer.digest('a', 'b')).not.toBe(createSealer([new Secret('another key, long enough')]).digest('a', 'b'));
});

test('a short key is refused', () => {
  expect(() => createSealer([new Secret('short')])).toThrow(RangeError);
});

test('equal values have one canonical text, different ones different texts', () => {
  expect(canonicalJson({ b: 1, a: [{ d: 1, c: undefined }], e: undefined })).toBe('{"a":[{"d":1}],"b":1}');
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value as Json))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('ids have their prefix, sort by their making and never repeat', () => {
  const ids = Array.from({ length: 1000 }, () => newId('act'));
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(1000);
  expect(ids.every((id) => isId('act', id))).toBe(true);
});

test.each([
  'act_',
  'cxn_0198f1c2-0000-7000-8000-000000000000',
  'act_0198F1C2-0000-7000-8000-000000000000',
  'act_x',
  'act_0198f1c2000070008000000000000000',
])('%s is no id of an actor', (text) => {
  expect(isId('act', text)).toBe(false);
});
