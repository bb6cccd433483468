import { type ErrorCode, errorCatalogue } from '@sallyport/sdk';
import type { DoorName, Exchange, Outcome, PolicyVerdict } from '../exchange.js';
import { durationBuckets, type MetricName } from './metric-definitions.js';

/** One line of a metric. `metric` is its name with the ending of the line when it is part of a histogram. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly metric?: string;
}

/** The values of the metrics that exchanges feed: plain numbers at known places, so that counting makes no object and looks up no label. */
export interface ExchangeCells {
  /** Counts a finished exchange. Never throws; meant for the hot path. */
  readonly observe: (exchange: Exchange) => void;
  /** The configured names of credentials, which from now on are counted one by one. Those that stay keep their count. */
  readonly setCredentials: (names: Iterable<string>) => void;
  /** What has been counted, by metric. Combinations that never occurred are left out. */
  samples(): ReadonlyMap<MetricName, readonly Sample[]>;
}

const DOORS: readonly DoorName[] = ['forward', 'sidecar'];
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE', 'other'] as const;
const OTHER_METHOD = METHODS.length - 1;
const STATUS_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;
const OUTCOMES: readonly Outcome[] = ['completed', 'refused', 'failed', 'aborted'];
const VERDICTS: readonly PolicyVerdict[] = ['allowed', 'denied', 'observed', 'passthrough'];
const DENIALS = ['rule', 'mode', 'no_host_rule', 'no_method_match', 'no_path_match', 'ambiguous_path', 'address'] as const;
const CODES = Object.keys(errorCatalogue) as readonly ErrorCode[];

const methodPlaces = places(METHODS);
const outcomePlaces = places(OUTCOMES);
const verdictPlaces = places(VERDICTS);
const denialPlaces = places(DENIALS);
const codePlaces = places(CODES);

/** Makes the cells, all at zero. */
export function createExchangeCells(): ExchangeCells {
  const exchanges = new Float64Array(DOORS.length * METHODS.length * STATUS_CLASSES.length * OUTCOMES.length);
  const durations = DOORS.map(() => new HistogramCells());
  const upstreamDurations = DOORS.map(() => new HistogramCells());
  const refusals = new Float64Array(CODES.length);
  const errors = new Float64Array(CODES.length);
  const verdicts = new Float64Array(VERDICTS.length);
  const denials = new Float64Array(DENIALS.length);
  const lookups = { hit: 0, miss: 0 };
  const handshakes = { client: 0, upstream: 0 };
  const bytes = new Float64Array(DOORS.length * 2);
  let credentials = new Map<string, { count: number }>();
  const otherCredentials = { count: 0 };

  return {
    observe(exchange) {
      const door = exchange.door === 'forward' ? 0 : 1;
      const method = methodPlaces.get(exchange.method) ?? OTHER_METHOD;
      const outcome = outcomePlaces.get(exchange.outcome) ?? 0;
      add(exchanges, ((door * METHODS.length + method) * STATUS_CLASSES.length + statusClass(exchange.status)) * OUTCOMES.length + outcome, 1);
      if (exchange.kind === 'request') durations[door].observe(exchange.durationMs);
      if (exchange.upstreamMs >= 0) upstreamDurations[door].observe(exchange.upstreamMs);
      if (exchange.error !== null) {
        add(exchange.outcome === 'refused' ? refusals : errors, codePlaces.get(exchange.error) ?? 0, 1);
        const denial = exchange.error === 'address_denied' ? 'address' : exchange.denial;
        if (denial !== null) add(denials, denialPlaces.get(denial) ?? 0, 1);
        const failed = exchange.upstreamError ?? exchange.error;
        if (failed.startsWith('upstream_tls_')) handshakes.upstream++;
        else if (failed === 'client_tls_failed' || failed === 'client_certificate_refused') handshakes.client++;
      }
      if (exchange.verdict !== null) add(verdicts, verdictPlaces.get(exchange.verdict) ?? 0, 1);
      if (exchange.credential !== null && exchange.secrets.length > 0) {
        (credentials.get(exchange.credential) ?? otherCredentials).count++;
      }
      if (exchange.resolveMs === 0) lookups.hit++;
      else if (exchange.resolveMs > 0) lookups.miss++;
      add(bytes, door * 2, exchange.requestBytes);
      add(bytes, door * 2 + 1, exchange.responseBytes);
    },

    setCredentials(names) {
      const previous = credentials;
      credentials = new Map();
      for (const name of names) credentials.set(name, previous.get(name) ?? { count: 0 });
    },

    samples() {
      const injections = [...credentials].map(([credential, { count }]) => ({ labels: { credential }, value: count }));
      return new Map<MetricName, readonly Sample[]>([
        ['sallyport_exchanges_total', occurred(Array.from(exchanges, exchangeSample))],
        ['sallyport_exchange_duration_seconds', histogramSamples('sallyport_exchange_duration_seconds', durations)],
        ['sallyport_upstream_duration_seconds', histogramSamples('sallyport_upstream_duration_seconds', upstreamDurations)],
        ['sallyport_refusals_total', occurred(CODES.map((code, place) => ({ labels: { code }, value: refusals[place] })))],
        ['sallyport_errors_total', occurred(CODES.map((code, place) => ({ labels: { code }, value: errors[place] })))],
        ['sallyport_policy_verdicts_total', VERDICTS.map((verdict, place) => ({ labels: { verdict }, value: verdicts[place] }))],
        ['sallyport_credential_injections_total', [...injections, ...occurred([{ labels: { credential: 'other' }, value: otherCredentials.count }])]],
        ['sallyport_policy_denials_total', occurred(DENIALS.map((reason, place) => ({ labels: { reason }, value: denials[place] })))],
        ['sallyport_credential_lookups_total', Object.entries(lookups).map(([result, value]) => ({ labels: { result }, value }))],
        ['sallyport_tls_handshake_failures_total', Object.entries(handshakes).map(([side, value]) => ({ labels: { side }, value }))],
        ['sallyport_bytes_total', Array.from(bytes, bytesSample)],
      ]);
    },
  };
}

/** The cells of one histogram, in seconds. */
export class HistogramCells {
  /** How many fell into each bucket alone; the last place is for what is beyond all bounds. */
  readonly #buckets = new Float64Array(durationBuckets.length + 1);
  #sum = 0;

  get empty(): boolean {
    return !this.#buckets.some((count) => count > 0);
  }

  observe(durationMs: number): void {
    const seconds = durationMs / 1000;
    let place = 0;
    while (place < BOUNDS.length && seconds > BOUNDS[place]) place++;
    add(this.#buckets, place, 1);
    this.#sum += seconds;
  }

  /** The lines of the exposition format, in which every bucket counts those below it too. */
  samples(metric: string, labels: Readonly<Record<string, string>>): Sample[] {
    let total = 0;
    const buckets = Array.from(this.#buckets, (count, place) => {
      total += count;
      const le = place < durationBuckets.length ? String(durationBuckets[place]) : '+Inf';
      return { metric: `${metric}_bucket`, labels: { le, ...labels }, value: total };
    });
    return [...buckets, { metric: `${metric}_sum`, labels, value: this.#sum }, { metric: `${metric}_count`, labels, value: total }];
  }
}

const BOUNDS = Float64Array.from(durationBuckets);

function add(cells: Float64Array, place: number, amount: number): void {
  cells[place] += amount;
}

function statusClass(status: number): number {
  const first = Math.floor(status / 100);
  return first >= 1 && first <= 5 ? first : 0;
}

function places<T extends string>(values: readonly T[]): ReadonlyMap<string, number> {
  return new Map(values.map((value, place) => [value, place]));
}

function occurred(samples: readonly Sample[]): readonly Sample[] {
  return samples.filter(({ value }) => value > 0);
}

function exchangeSample(value: number, place: number): Sample {
  const outcome = OUTCOMES[place % OUTCOMES.length];
  const rest = Math.floor(place / OUTCOMES.length);
  const status_class = STATUS_CLASSES[rest % STATUS_CLASSES.length];
  const methods = Math.floor(rest / STATUS_CLASSES.length);
  return { labels: { door: DOORS[Math.floor(methods / METHODS.length)], method: METHODS[methods % METHODS.length], status_class, outcome }, value };
}

function bytesSample(value: number, place: number): Sample {
  return { labels: { door: DOORS[place >> 1], direction: place % 2 === 0 ? 'request' : 'response' }, value };
}

function histogramSamples(metric: string, cells: readonly HistogramCells[]): readonly Sample[] {
  return cells.flatMap((cell, place) => cell.samples(metric, { door: DOORS[place] }));
}
