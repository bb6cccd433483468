/** Which traces are kept: `parentBased` leaves it to the caller when there is one, `ratio` is the part of the others, from 0 to 1. */
export interface Sampling {
  readonly parentBased: boolean;
  readonly ratio: number;
}

/** Decides about one trace; `parentSampled` is null for one that begins here. */
export type Sampler = (traceId: string, parentSampled: boolean | null) => boolean;

/** The random part of a trace id are its last 56 bits (W3C Trace Context Level 2 §3.2.3.3). */
const RANDOM_BITS = 56;
const RANDOM_DIGITS = RANDOM_BITS / 4;

/** Everybody who samples by the same ratio keeps the same traces, for the decision depends on the trace id alone. */
export function createSampler({ parentBased, ratio }: Sampling): Sampler {
  // Kept are the values from here up, so that what a smaller ratio keeps a larger one keeps too.
  const threshold = (1 - ratio) * 2 ** RANDOM_BITS;
  const own = (traceId: string): boolean => {
    if (ratio >= 1) return true;
    return ratio > 0 && Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) >= threshold;
  };
  return (traceId, parentSampled) => (parentBased && parentSampled !== null ? parentSampled : own(traceId));
}
