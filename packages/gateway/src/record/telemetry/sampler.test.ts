import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSampler } from './sampler.js';

const ids = Array.from({ length: 4_000 }, () => randomBytes(16).toString('hex'));

test('keeps about as many as it should, and with a larger ratio those of a smaller one too', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (one, other) => {
      const [less, more] = [Math.min(one, other), Math.max(one, other)].map((ratio) => createSampler({ parentBased: true, ratio }));
      const kept = ids.filter((id) => less(id, null));
      expect(Math.abs(kept.length / ids.length - Math.min(one, other))).toBeLessThan(0.06);
      for (const id of kept) expect(more(id, null)).toBe(true);
    }),
    { numRuns: 20 },
  );
});

test('keeps all or none at the ends', () => {
  expect(ids.every((id) => createSampler({ parentBased: false, ratio: 1 })(id, null))).toBe(true);
  expect(ids.some((id) => createSampler({ parentBased: false, ratio: 0 })(id, null))).toBe(false);
});

test('leaves it to the caller, if it should', () => {
  for (const ratio of [0, 1]) {
    for (const parent of [true, false]) {
      expect(createSampler({ parentBased: true, ratio })(ids[0], parent)).toBe(parent);
      expect(createSampler({ parentBased: false, ratio })(ids[0], parent)).toBe(ratio === 1);
    }
  }
});
