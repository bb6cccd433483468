import { parseExposition, type Sample } from './exposition.js';
import type { Bucket } from './quantile.js';

/** What one look at the metrics of an instance says. */
export interface Reading {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly requests: number;
  /** Requests that were answered 4xx or 5xx, or that failed without an answer. */
  readonly errors: number;
  /** Durations in seconds, cumulative, ascending. */
  readonly buckets: readonly Bucket[];
  /** Requests that are under way. */
  readonly active: number | null;
  /** Panics of Chaperone, internal faults of Sallyport. */
  readonly faults: number | null;
  /** Seconds since the epoch: when the first certificate expires. */
  readonly certificateNotAfter: number | null;
}

/** The names under which a product tells the same. */
interface Family {
  readonly prefix: string;
  readonly requests: string;
  readonly durations: string;
  readonly active: string;
  readonly faults: string;
}

/** A gateway may export both, to please the dashboards of the second; then only the first is counted. */
const families: readonly Family[] = [
  {
    prefix: 'sallyport_',
    requests: 'sallyport_exchanges_total',
    durations: 'sallyport_exchange_duration_seconds_bucket',
    active: 'sallyport_active_exchanges',
    faults: 'sallyport_internal_faults_total',
  },
  {
    prefix: 'chaperone_',
    requests: 'chaperone_requests_total',
    durations: 'chaperone_request_duration_seconds_bucket',
    active: 'chaperone_active_connections',
    faults: 'chaperone_panics_total',
  },
];

const certificates = ['sallyport_certificate_not_after_seconds', 'chaperone_cert_not_after_timestamp_seconds'];

/** Reads the text of `/metrics`; null when it holds none of Sallyport or Chaperone. Errors: `fleet_metrics_invalid`. */
export function readMetrics(text: string, at: number): Reading | null {
  const samples = parseExposition(text, (name) => families.some(({ prefix }) => name.startsWith(prefix)));
  const family = families.find(({ prefix }) => samples.some(({ name }) => name.startsWith(prefix)));
  if (family === undefined) return null;
  const named = (name: string): Sample[] => samples.filter((sample) => sample.name === name && Number.isFinite(sample.value));
  const requests = named(family.requests);
  const expiries = certificates.flatMap(named).map(({ value }) => value);
  return {
    at,
    requests: sum(requests),
    errors: sum(requests.filter(isError)),
    buckets: bucketsOf(named(family.durations)),
    active: sumOrNull(named(family.active)),
    faults: sumOrNull(named(family.faults)),
    certificateNotAfter: expiries.length === 0 ? null : Math.min(...expiries),
  };
}

function isError({ labels }: Sample): boolean {
  const status = labels.get('status_class');
  return status === '4xx' || status === '5xx' || labels.get('outcome') === 'failed';
}

/** One histogram out of those of every set of labels. */
function bucketsOf(samples: readonly Sample[]): Bucket[] {
  const counts = new Map<number, number>();
  for (const { labels, value } of samples) {
    const text = labels.get('le') ?? '';
    const upTo = /^\+?inf$/i.test(text) ? Number.POSITIVE_INFINITY : Number(text === '' ? Number.NaN : text);
    if (!Number.isNaN(upTo)) counts.set(upTo, (counts.get(upTo) ?? 0) + value);
  }
  return [...counts].map(([upTo, count]) => ({ upTo, count })).sort((one, other) => (one.upTo < other.upTo ? -1 : 1));
}

function sum(samples: readonly Sample[]): number {
  return samples.reduce((total, { value }) => total + value, 0);
}

function sumOrNull(samples: readonly Sample[]): number | null {
  return samples.length === 0 ? null : sum(samples);
}
