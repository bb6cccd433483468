/** The middle value; of an even number, the mean of the middle two; null of none. @param {number[]} values @returns {number | null} */
export function median(values) {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = /** @type {number} */ (sorted[middle]);
  return sorted.length % 2 === 1 ? upper : (upper + /** @type {number} */ (sorted[middle - 1])) / 2;
}

/** @typedef {import('./measure.mjs').Sample} Sample */
/** @typedef {keyof Sample} Quantity */

/** Where more is better; of everything else, less is. @type {readonly Quantity[]} */
const moreIsBetter = ['rate'];

/**
 * The median of one quantity over the rounds that succeeded.
 * @param {(Sample | null)[]} samples
 * @param {Quantity} quantity
 */
export function medianOf(samples, quantity) {
  return median(samples.flatMap((sample) => sample?.[quantity] ?? []));
}

/**
 * How many times better than a peer, above 1 is better: computed inside each round, where the machine was the same
 * for both, and then the median of the rounds.
 * @param {(Sample | null)[]} samples
 * @param {(Sample | null)[]} peer
 * @param {Quantity} quantity
 */
export function ratio(samples, peer, quantity) {
  return median(
    samples.flatMap((sample, round) => {
      const own = sample?.[quantity];
      const theirs = peer[round]?.[quantity];
      if (own === undefined || theirs === undefined || own <= 0 || theirs <= 0) return [];
      return moreIsBetter.includes(quantity) ? own / theirs : theirs / own;
    }),
  );
}

/**
 * How much later than the direct connection, in microseconds; inside each round, then the median.
 * @param {(Sample | null)[]} samples
 * @param {(Sample | null)[]} direct
 * @param {'p50' | 'p99'} quantity
 */
export function added(samples, direct, quantity) {
  return median(
    samples.flatMap((sample, round) => {
      const own = sample?.[quantity];
      const base = direct[round]?.[quantity];
      return own === undefined || base === undefined ? [] : own - base;
    }),
  );
}
