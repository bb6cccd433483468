/** How many observations were at most so large; `upTo` is +Infinity for all of them. */
export interface Bucket {
  readonly upTo: number;
  readonly count: number;
}

/**
 * The value that a share `q` (above 0, at most 1) of the observations does not exceed, estimated as Prometheus does: by linear interpolation inside
 * the bucket that it falls into, with 0 as the lower bound of the first. Beyond the last bound it is that bound. Null without observations. The
 * buckets are cumulative and in ascending order.
 */
export function quantile(q: number, buckets: readonly Bucket[]): number | null {
  const last = buckets.at(-1);
  if (last === undefined || last.upTo !== Number.POSITIVE_INFINITY || !(last.count > 0)) return null;
  const rank = q * last.count;
  const index = buckets.findIndex(({ count }) => count >= rank);
  const { upTo, count } = buckets[index] ?? last;
  const below = buckets[index - 1] ?? { upTo: 0, count: 0 };
  if (upTo === Number.POSITIVE_INFINITY) return buckets.length > 1 ? below.upTo : null;
  if (upTo <= below.upTo) return upTo;
  return below.upTo + (upTo - below.upTo) * ((rank - below.count) / (count - below.count));
}
