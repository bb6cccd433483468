import { type Bucket, quantile } from './quantile.js';
import type { Reading } from './reading.js';

/** What is shown of an instance. Null where nothing can be said yet. */
export interface Figures {
  /** Requests per second. */
  readonly rps: number | null;
  /** 0 to 1. */
  readonly errorRate: number | null;
  /** Milliseconds, two decimals. */
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  /** What changed against one window ago. */
  readonly rpsTrend: number | null;
  readonly errorRateTrend: number | null;
}

/** The past of one instance: the newest readings, as many as a window holds. */
export interface History {
  add(reading: Reading): Figures;
  /** What `add` answered last. */
  readonly figures: Figures;
  /** Requests per second of each reading that is kept, oldest first. */
  readonly rpsSeries: readonly number[];
}

/** Rates are taken over so many intervals: over one alone they would jump. */
const SPAN = 2;
const LEAST_FOR_TREND = 4;

const nothing: Figures = { rps: null, errorRate: null, p50: null, p95: null, p99: null, rpsTrend: null, errorRateTrend: null };

/** An empty history for readings that come every `interval`; both in milliseconds. */
export function createHistory({ interval, window }: { interval: number; window: number }): History {
  const capacity = Math.max(Math.ceil(window / interval) + 1, SPAN + 1);
  const kept: { readonly reading: Reading; readonly figures: Figures }[] = [];
  let figures = nothing;
  return {
    add(reading) {
      const before = kept.at(-Math.min(SPAN, kept.length))?.reading;
      const now = before === undefined ? nothing : compare(before, reading);
      const trends = trendsAgainst(kept, { at: reading.at, ...now }, window);
      figures = { ...now, ...trends };
      kept.push({ reading, figures });
      if (kept.length > capacity) kept.shift();
      return figures;
    },
    get figures() {
      return figures;
    },
    get rpsSeries() {
      return kept.map(({ figures: { rps } }) => rps ?? 0);
    },
  };
}

/** The figures for the time between two readings. A counter that went down says that the process began anew: nothing is known of that time. */
export function compare(before: Reading, after: Reading): Figures {
  const seconds = (after.at - before.at) / 1000;
  const requests = after.requests - before.requests;
  const errors = after.errors - before.errors;
  if (!(seconds > 0) || requests < 0 || errors < 0) return { ...nothing, rps: 0, errorRate: 0 };
  const buckets = difference(before.buckets, after.buckets);
  const milliseconds = (q: number): number | null => {
    const value = buckets === null ? null : quantile(q, buckets);
    return value === null ? null : Math.round(value * 100_000) / 100;
  };
  return {
    ...nothing,
    rps: requests / seconds,
    errorRate: requests === 0 ? 0 : Math.min(errors / requests, 1),
    p50: milliseconds(0.5),
    p95: milliseconds(0.95),
    p99: milliseconds(0.99),
  };
}

/** Null when a bucket went down. The sums of several histograms may contradict each other by a little; cumulative counts never fall. */
function difference(before: readonly Bucket[], after: readonly Bucket[]): Bucket[] | null {
  const earlier = new Map(before.map(({ upTo, count }) => [upTo, count]));
  let highest = 0;
  const result: Bucket[] = [];
  for (const { upTo, count } of after) {
    const more = count - (earlier.get(upTo) ?? 0);
    if (more < 0) return null;
    highest = Math.max(highest, more);
    result.push({ upTo, count: highest });
  }
  return result;
}

/** Nothing is said before there are four readings that reach over five sixths of the window. */
function trendsAgainst(
  kept: readonly { readonly reading: Reading; readonly figures: Figures }[],
  now: Pick<Figures, 'rps' | 'errorRate'> & { readonly at: number },
  window: number,
): Pick<Figures, 'rpsTrend' | 'errorRateTrend'> {
  // The first one has no rates of its own.
  const past = kept.find(({ reading, figures }) => figures.rps !== null && now.at - reading.at <= window);
  const far = past !== undefined && now.at - past.reading.at >= (window * 5) / 6;
  if (!far || kept.length + 1 < LEAST_FOR_TREND) return { rpsTrend: null, errorRateTrend: null };
  return { rpsTrend: minus(now.rps, past.figures.rps), errorRateTrend: minus(now.errorRate, past.figures.errorRate) };
}

function minus(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one - other;
}
