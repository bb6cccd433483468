import type { Exchange } from '../exchange.js';
import { type ChaperoneMetricName, chaperoneBuckets } from './chaperone-metric-definitions.js';
import type { Sample } from './metric-cells.js';
import { type ForwardFault, forwardFault, isUpstreamError } from './telemetry/error-kind.js';

/** The ten metrics of Chaperone. No call throws; `observe` is meant for the hot path and makes no object for a vendor that was seen before. */
export interface ChaperoneMetrics {
  /** Counts a finished exchange of the sidecar: calls of `/proxy`, and not those of the operations paths or handshakes that failed. */
  observe(exchange: Exchange): void;
  panic(): void;
  certRenewal(succeeded: boolean): void;
  /** What has been counted, by metric; see `chaperoneMetricDefinitions`. Combinations that never occurred are left out. */
  samples(): ReadonlyMap<ChaperoneMetricName, readonly Sample[]>;
}

/** Whoever may call can name any vendor, so their number is bounded. */
const MOST_VENDORS = 500;
/** Targets have names from the configuration; a reload may bring others. */
const MOST_TARGETS = 500;
const LONGEST_VENDOR = 64;

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE', 'other'] as const;
const STATUS_CLASSES = ['2xx', '3xx', '4xx', '5xx', 'other'] as const;
const ERROR_KINDS: readonly ForwardFault[] = ['timeout', 'tls', 'connection', 'other'];
const UNKNOWN = 'unknown';
const OTHER = 'other';

const OTHER_METHOD = METHODS.length - 1;
const OTHER_CLASS = STATUS_CLASSES.length - 1;
const BOUNDS = Float64Array.from(chaperoneBuckets);

interface VendorCells {
  readonly requests: Float64Array;
  readonly duration: Histogram;
  readonly upstream: Histogram;
}

interface TargetCells {
  forwards: number;
  readonly duration: Histogram;
  readonly errors: Float64Array;
}

interface Histogram {
  /** How many fell into each bucket alone; the last place is for what is beyond all bounds. */
  readonly buckets: Float64Array;
  /** Seconds. */
  sum: number;
}

/** Makes the metrics, all at zero. Both functions are asked at every scrape; `certNotAfter` for seconds since 1970, null without a certificate. */
export function createChaperoneMetrics({
  activeRequests,
  certNotAfter,
}: {
  readonly activeRequests: () => number;
  readonly certNotAfter: () => number | null;
}): ChaperoneMetrics {
  const vendors = new Map<string, VendorCells>();
  const targets = new Map<string, TargetCells>();
  const methods = new Map<string, number>(METHODS.map((method, place) => [method, place]));
  let credentials = 0;
  let panics = 0;
  const renewals = { success: 0, failure: 0 };

  function vendorCells(vendorId: string): VendorCells {
    const known = vendors.get(vendorId);
    if (known !== undefined) return known;
    const label = vendorLabel(vendorId);
    return vendors.get(label) ?? added(vendors, vendors.size < MOST_VENDORS || label === UNKNOWN ? label : OTHER, newVendor);
  }

  function targetCells(target: string): TargetCells {
    return targets.get(target) ?? added(targets, targets.size < MOST_TARGETS ? target : OTHER, newTarget);
  }

  function observeTarget(target: string, { upstreamMs, upstreamError }: Exchange, failedMs: number): void {
    const cells = targetCells(target);
    cells.forwards++;
    if (upstreamMs >= 0) observe(cells.duration, upstreamMs);
    else if (upstreamError !== null) observe(cells.duration, failedMs);
    if (upstreamError !== null) cells.errors[ERROR_KINDS.indexOf(forwardFault(upstreamError))]++;
  }

  return {
    observe(exchange) {
      const { method, host, error, forwardTarget, upstreamMs } = exchange;
      if (method === '' || (host === '' && error === null)) return;
      const cells = vendorCells(exchange.vendorId);
      cells.requests[statusClass(exchange.status) * METHODS.length + (methods.get(method) ?? OTHER_METHOD)]++;
      observe(cells.duration, exchange.durationMs);
      // An exchange ends with the error of its upstream, so what is left of it is the time that led to the error.
      const failedMs = Math.max(0, exchange.durationMs - Math.max(0, exchange.resolveMs));
      if (exchange.route === 'credentials') credentials++;
      if (error === 'internal_error') panics++;
      if (forwardTarget !== null) observeTarget(forwardTarget, exchange, failedMs);
      else if (upstreamMs >= 0) observe(cells.upstream, upstreamMs);
      else if (error !== null && isUpstreamError(error)) observe(cells.upstream, failedMs);
    },
    panic() {
      panics++;
    },
    certRenewal(succeeded) {
      renewals[succeeded ? 'success' : 'failure']++;
    },
    samples() {
      const notAfter = certNotAfter();
      const ofVendors = (read: (cells: VendorCells, vendor_id: string) => readonly Sample[]): Sample[] =>
        Array.from(vendors).flatMap(([vendor_id, cells]) => read(cells, vendor_id));
      const ofTargets = (read: (cells: TargetCells, target: string) => readonly Sample[]): Sample[] =>
        Array.from(targets).flatMap(([target, cells]) => read(cells, target));
      return new Map<ChaperoneMetricName, readonly Sample[]>([
        ['chaperone_requests_total', ofVendors(requestSamples)],
        [
          'chaperone_request_duration_seconds',
          ofVendors(({ duration }, vendor_id) => histogramSamples('chaperone_request_duration_seconds', duration, { vendor_id })),
        ],
        [
          'chaperone_upstream_duration_seconds',
          ofVendors(({ upstream }, vendor_id) => histogramSamples('chaperone_upstream_duration_seconds', upstream, { vendor_id })),
        ],
        ['chaperone_active_connections', [{ labels: {}, value: activeRequests() }]],
        ['chaperone_panics_total', [{ labels: {}, value: panics }]],
        [
          'chaperone_route_decisions_total',
          occurred([
            { labels: { action: 'credentials', target: '' }, value: credentials },
            ...ofTargets(({ forwards }, target) => [{ labels: { action: 'forward', target }, value: forwards }]),
          ]),
        ],
        [
          'chaperone_forward_target_duration_seconds',
          ofTargets(({ duration }, target) => histogramSamples('chaperone_forward_target_duration_seconds', duration, { target })),
        ],
        [
          'chaperone_forward_target_errors_total',
          ofTargets(({ errors }, target) => occurred(ERROR_KINDS.map((kind, place) => ({ labels: { target, kind }, value: errors[place] })))),
        ],
        ['chaperone_cert_not_after_timestamp_seconds', notAfter === null ? [] : [{ labels: {}, value: notAfter }]],
        [
          'chaperone_cert_renewals_total',
          [
            { labels: { status: 'success' }, value: renewals.success },
            { labels: { status: 'failure' }, value: renewals.failure },
          ],
        ],
      ]);
    },
  };
}

/** The label of a vendor: cut to 64 characters; `unknown` when it is empty or holds anything but letters, digits, `.`, `_` and `-`. */
function vendorLabel(vendorId: string): string {
  const cut = vendorId.slice(0, LONGEST_VENDOR);
  return /^[A-Za-z0-9._-]+$/.test(cut) ? cut : UNKNOWN;
}

function added<Cells>(map: Map<string, Cells>, label: string, make: () => Cells): Cells {
  const cells = map.get(label) ?? make();
  map.set(label, cells);
  return cells;
}

function newVendor(): VendorCells {
  return { requests: new Float64Array(STATUS_CLASSES.length * METHODS.length), duration: newHistogram(), upstream: newHistogram() };
}

function newTarget(): TargetCells {
  return { forwards: 0, duration: newHistogram(), errors: new Float64Array(ERROR_KINDS.length) };
}

function newHistogram(): Histogram {
  return { buckets: new Float64Array(BOUNDS.length + 1), sum: 0 };
}

function observe(histogram: Histogram, durationMs: number): void {
  const seconds = durationMs / 1000;
  let place = 0;
  while (place < BOUNDS.length && seconds > BOUNDS[place]) place++;
  histogram.buckets[place]++;
  histogram.sum += seconds;
}

function statusClass(status: number): number {
  const first = Math.floor(status / 100);
  return first >= 2 && first <= 5 ? first - 2 : OTHER_CLASS;
}

function requestSamples({ requests }: VendorCells, vendor_id: string): readonly Sample[] {
  return occurred(
    Array.from(requests, (value, place) => {
      const status_class = STATUS_CLASSES[Math.floor(place / METHODS.length)];
      return { labels: { vendor_id, status_class, method: METHODS[place % METHODS.length] }, value };
    }),
  );
}

/** The lines of the exposition format, in which every bucket counts those below it too; none for a histogram that nothing fell into. */
function histogramSamples(metric: string, { buckets, sum }: Histogram, labels: Readonly<Record<string, string>>): readonly Sample[] {
  let total = 0;
  const lines = Array.from(buckets, (count, place) => {
    total += count;
    const le = place < chaperoneBuckets.length ? String(chaperoneBuckets[place]) : '+Inf';
    return { metric: `${metric}_bucket`, labels: { le, ...labels }, value: total };
  });
  if (total === 0) return [];
  return [...lines, { metric: `${metric}_sum`, labels, value: sum }, { metric: `${metric}_count`, labels, value: total }];
}

function occurred(samples: readonly Sample[]): readonly Sample[] {
  return samples.filter(({ value }) => value > 0);
}
