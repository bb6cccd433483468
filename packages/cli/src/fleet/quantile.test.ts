import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Bucket, quantile } from './quantile.js';

const bounds = fc
  .uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 20 })
  .map((list) => list.sort((one, other) => one - other));
const values = fc.array(fc.double({ min: 0.001, max: 1200, noNaN: true }), { minLength: 1, maxLength: 200 });
const share = fc.double({ min: 0.001, max: 1, noNaN: true });

function bucketsOf(samples: readonly number[], upTo: readonly number[]): Bucket[] {
  return [...upTo, Number.POSITIVE_INFINITY].map((bound) => ({ upTo: bound, count: samples.filter((sample) => sample <= bound).length }));
}

/** The bucket that the true value, taken from the sorted samples, lies in. */
function bucketOfTrueValue(q: number, samples: readonly number[], upTo: readonly number[]): [number, number] {
  const sorted = samples.toSorted((one, other) => one - other);
  const value = sorted[Math.max(Math.ceil(q * sorted.length) - 1, 0)] ?? 0;
  const above = upTo.findIndex((bound) => value <= bound);
  return above < 0 ? [upTo.at(-1) ?? 0, Number.POSITIVE_INFINITY] : [upTo[above - 1] ?? 0, upTo[above] ?? 0];
}

describe('a percentile of buckets', () => {
  test('lies in the bucket of the true one, and is the last bound when that is beyond it', () => {
    fc.assert(
      fc.property(values, bounds, share, (samples, upTo, q) => {
        const estimate = quantile(q, bucketsOf(samples, upTo)) ?? Number.NaN;
        const [low, high] = bucketOfTrueValue(q, samples, upTo);
        expect(estimate).toBeGreaterThanOrEqual(low);
        expect(estimate).toBeLessThanOrEqual(high === Number.POSITIVE_INFINITY ? low : high);
      }),
    );
  });

  test('grows with the share', () => {
    fc.assert(
      fc.property(values, bounds, share, share, (samples, upTo, one, other) => {
        const buckets = bucketsOf(samples, upTo);
        const [less, more] = [Math.min(one, other), Math.max(one, other)].map((q) => quantile(q, buckets) ?? Number.NaN);
        expect(less).toBeLessThanOrEqual(more ?? 0);
      }),
    );
  });

  test('comes as close as the buckets are narrow', () => {
    const samples = Array.from({ length: 1000 }, (_, index) => index + 1);
    const buckets = bucketsOf(samples, samples);
    for (const q of [0.5, 0.95, 0.99]) expect(Math.abs((quantile(q, buckets) ?? 0) - q * 1000)).toBeLessThanOrEqual(1);
  });

  test('is interpolated in a straight line', () => {
    const buckets = [
      { upTo: 1, count: 10 },
      { upTo: 3, count: 30 },
      { upTo: Number.POSITIVE_INFINITY, count: 40 },
    ];
    expect([0.125, 0.25, 0.5, 0.75, 0.99].map((q) => quantile(q, buckets))).toEqual([0.5, 1, 2, 3, 3]);
  });

  test('is not there without observations or without the bucket of all', () => {
    expect(quantile(0.5, [])).toBeNull();
    expect(quantile(0.5, bucketsOf([], [1, 2]))).toBeNull();
    expect(quantile(0.5, [{ upTo: 1, count: 5 }])).toBeNull();
    expect(quantile(0.5, [{ upTo: Number.POSITIVE_INFINITY, count: 5 }])).toBeNull();
  });
});
