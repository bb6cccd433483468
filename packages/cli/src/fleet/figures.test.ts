import { describe, expect, test } from 'vitest';
import { compare, createHistory } from './figures.js';
import type { Bucket } from './quantile.js';
import { type Reading, readMetrics } from './reading.js';

const buckets = (...counts: number[]): Bucket[] => counts.map((count, index) => ({ upTo: [0.1, 1, Number.POSITIVE_INFINITY][index] ?? 0, count }));
const reading = (seconds: number, requests: number, errors = 0, more: Partial<Reading> = {}): Reading => ({
  at: seconds * 1000,
  requests,
  errors,
  buckets: buckets(requests, requests, requests),
  active: 0,
  faults: 0,
  certificateNotAfter: null,
  ...more,
});

describe('between two readings', () => {
  test('rates and percentiles are of what came in between', () => {
    const before = reading(0, 100, 50, { buckets: buckets(0, 0, 100) });
    const after = reading(10, 200, 60, { buckets: buckets(50, 100, 200) });
    expect(compare(before, after)).toMatchObject({ rps: 10, errorRate: 0.1, p50: 100, p95: 910, p99: 982 });
  });

  test('a process that began anew', () => {
    expect(compare(reading(0, 100, 5), reading(10, 3, 1))).toMatchObject({ rps: 0, errorRate: 0, p50: null });
  });

  test('nothing came', () => {
    expect(compare(reading(0, 100, 5), reading(10, 100, 5))).toMatchObject({ rps: 0, errorRate: 0, p50: null });
  });

  test('no time went by, or the clock was set back', () => {
    expect(compare(reading(10, 1), reading(10, 2))).toMatchObject({ rps: 0 });
    expect(compare(reading(10, 1), reading(9, 2))).toMatchObject({ rps: 0 });
  });

  test('more errors than requests are all of them', () => {
    expect(compare(reading(0, 0, 0), reading(1, 1, 2)).errorRate).toBe(1);
  });
});

describe('the history of an instance', () => {
  test('says nothing after one reading, and takes rates over two intervals', () => {
    const history = createHistory({ interval: 1000, window: 10_000 });
    expect(history.add(reading(0, 0)).rps).toBeNull();
    expect(history.add(reading(1, 10)).rps).toBe(10);
    expect(history.add(reading(2, 40)).rps).toBe(20);
    expect(history.add(reading(3, 50)).rps).toBe(20);
  });

  test('has trends once it reaches over five sixths of the window', () => {
    const history = createHistory({ interval: 1000, window: 6000 });
    let requests = 0;
    const trends = Array.from({ length: 9 }, (_, second) => {
      requests += second;
      return history.add(reading(second, requests, 0)).rpsTrend;
    });
    // The first reading has no rate yet, so that the second is the first to compare with: 5 s later.
    expect(trends.slice(0, 6)).toEqual([null, null, null, null, null, null]);
    expect(trends[6]).toBe(5.5 - 1);
    expect(trends[8]).toBe(7.5 - 1.5);
  });

  test('is bounded', () => {
    const history = createHistory({ interval: 1000, window: 5000 });
    for (let second = 0; second < 100; second += 1) history.add(reading(second, second));
    expect(history.rpsSeries).toHaveLength(6);
  });
});

describe('what the metrics say', () => {
  const sallyport = `sallyport_exchanges_total{door="forward",method="GET",status_class="2xx",outcome="completed"} 90
sallyport_exchanges_total{door="forward",method="GET",status_class="4xx",outcome="refused"} 4
sallyport_exchanges_total{door="sidecar",method="GET",status_class="5xx",outcome="failed"} 3
sallyport_exchanges_total{door="sidecar",method="GET",status_class="2xx",outcome="failed"} 2
sallyport_exchanges_total{door="sidecar",method="GET",status_class="none",outcome="aborted"} 1
sallyport_exchange_duration_seconds_bucket{le="0.1",door="forward"} 5
sallyport_exchange_duration_seconds_bucket{le="+Inf",door="forward"} 10
sallyport_exchange_duration_seconds_bucket{le="+Inf",door="sidecar"} 20
sallyport_exchange_duration_seconds_bucket{le="0.1",door="sidecar"} 20
sallyport_active_exchanges{door="forward"} 2
sallyport_active_exchanges{door="sidecar"} 3
sallyport_internal_faults_total 1
sallyport_certificate_not_after_seconds{listener="sidecar"} 1800000000
sallyport_certificate_not_after_seconds{listener="forward"} 1700000000
`;
  const chaperone = `chaperone_requests_total{vendor_id="acme",status_class="2xx",method="GET"} 7
chaperone_requests_total{vendor_id="acme",status_class="5xx",method="GET"} 3
chaperone_request_duration_seconds_bucket{vendor_id="acme",le="0.5"} 9
chaperone_request_duration_seconds_bucket{vendor_id="acme",le="+Inf"} 10
chaperone_active_connections 4
chaperone_panics_total 2
chaperone_cert_not_after_timestamp_seconds 1.7e+09
go_goroutines 12
`;
  const ofSallyport = {
    requests: 100,
    errors: 9,
    buckets: [
      { upTo: 0.1, count: 25 },
      { upTo: Number.POSITIVE_INFINITY, count: 30 },
    ],
    active: 5,
    faults: 1,
    certificateNotAfter: 1_700_000_000,
  };

  test('of Sallyport', () => {
    expect(readMetrics(sallyport, 5)).toEqual({ at: 5, ...ofSallyport });
  });

  test('of Chaperone', () => {
    expect(readMetrics(chaperone, 5)).toMatchObject({ requests: 10, errors: 3, active: 4, faults: 2, certificateNotAfter: 1_700_000_000 });
  });

  test('of a Sallyport that exports both counts once', () => {
    expect(readMetrics(chaperone + sallyport, 5)).toEqual({ at: 5, ...ofSallyport });
  });

  test('of something else', () => {
    expect(readMetrics('go_goroutines 12\n', 5)).toBeNull();
  });
});
