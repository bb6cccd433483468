import fc from 'fast-check';
import { Counter, Histogram, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { Exchange } from '../exchange.js';
import { chaperoneBuckets, chaperoneMetricDefinitions } from './chaperone-metric-definitions.js';
import { type ChaperoneMetrics, createChaperoneMetrics } from './chaperone-metrics.js';
import type { Sample } from './metric-cells.js';

function metrics(activeRequests = () => 0, certNotAfter: () => number | null = () => null): ChaperoneMetrics {
  return createChaperoneMetrics({ activeRequests, certNotAfter });
}

/** A call of the sidecar that came to an end. */
function request(changes: Partial<Exchange> = {}): Exchange {
  const usual = { vendorId: 'acme', host: 'api.test', status: 200, method: 'GET', durationMs: 12, upstreamMs: 10 };
  return Object.assign(new Exchange('sidecar', '127.0.0.1'), usual, changes);
}

/** One that was sent to a forward target. */
function forwarded(target: string, changes: Partial<Exchange> = {}): Exchange {
  return request({ route: 'forward', forwardTarget: target, ...changes });
}

/** The samples of a metric as `name{label="value",…} value`, sorted. */
function lines(samples: readonly Sample[], name: string): string[] {
  return samples
    .map(({ metric = name, labels, value }) => {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
      return `${metric}{${pairs.sort().join(',')}} ${Number(value.toFixed(6))}`;
    })
    .sort();
}

function linesOf(counted: ChaperoneMetrics, name: keyof typeof chaperoneMetricDefinitions): string[] {
  return lines(counted.samples().get(name) ?? [], name);
}

test('has the ten metrics, each with its samples', () => {
  const names = Object.keys(chaperoneMetricDefinitions);
  expect(names).toHaveLength(10);
  expect([...metrics().samples().keys()]).toEqual(names);
});

test('the labels of the samples are those of the definitions', () => {
  const counted = metrics(undefined, () => 1_700_000_000.5);
  counted.observe(request({ route: 'credentials' }));
  counted.observe(forwarded('router', { upstreamMs: -1, error: 'forward_target_unavailable', upstreamError: 'upstream_tls_expired' }));
  for (const [name, samples] of counted.samples()) {
    expect(samples.length).toBeGreaterThan(0);
    for (const { labels } of samples) {
      const { le: _, ...own } = labels;
      expect(Object.keys(own)).toEqual(Object.keys(chaperoneMetricDefinitions[name].labels));
    }
  }
});

test('starts with what is never absent', () => {
  const samples = [...metrics(() => 3).samples()].flatMap(([name, of]) => lines(of, name));
  expect(samples).toEqual([
    'chaperone_active_connections{} 3',
    'chaperone_panics_total{} 0',
    'chaperone_cert_renewals_total{status="failure"} 0',
    'chaperone_cert_renewals_total{status="success"} 0',
  ]);
});

describe('requests', () => {
  test.each([
    [100, 'other'],
    [200, '2xx'],
    [299, '2xx'],
    [304, '3xx'],
    [404, '4xx'],
    [499, '4xx'],
    [502, '5xx'],
    [0, 'other'],
    [600, 'other'],
  ])('status %d is %s', (status, status_class) => {
    const counted = metrics();
    counted.observe(request({ status }));
    expect(linesOf(counted, 'chaperone_requests_total')).toEqual([
      `chaperone_requests_total{method="GET",status_class="${status_class}",vendor_id="acme"} 1`,
    ]);
  });

  test.each([
    ['GET', 'GET'],
    ['PATCH', 'PATCH'],
    ['get', 'other'],
    ['PROPFIND', 'other'],
    ['__proto__', 'other'],
  ])('method %s is %s', (method, label) => {
    const counted = metrics();
    counted.observe(request({ method }));
    expect(linesOf(counted, 'chaperone_requests_total')[0]).toContain(`method="${label}"`);
  });

  test.each([
    ['', 'unknown'],
    ['acme', 'acme'],
    ['ACME.co_1-2', 'ACME.co_1-2'],
    ['a b', 'unknown'],
    ['a"b', 'unknown'],
    ['müller', 'unknown'],
    ['a'.repeat(64), 'a'.repeat(64)],
    ['a'.repeat(65), 'a'.repeat(64)],
    [`${'a'.repeat(64)} not looked at`, 'a'.repeat(64)],
    [`${'a'.repeat(63)}é`, 'unknown'],
  ])('vendor %j is %s', (vendorId, label) => {
    const counted = metrics();
    counted.observe(request({ vendorId }));
    counted.observe(request({ vendorId }));
    expect(linesOf(counted, 'chaperone_requests_total')).toEqual([
      `chaperone_requests_total{method="GET",status_class="2xx",vendor_id="${label}"} 2`,
    ]);
  });

  test('more vendors than are kept apart are counted together', () => {
    const counted = metrics();
    for (let i = 0; i < 2_000; i++) counted.observe(request({ vendorId: `vendor-${i}` }));
    counted.observe(request({ vendorId: '?' }));
    counted.observe(request({ vendorId: 'vendor-0' }));
    const counts = linesOf(counted, 'chaperone_requests_total');
    expect(counts).toHaveLength(502);
    expect(counts).toContain('chaperone_requests_total{method="GET",status_class="2xx",vendor_id="other"} 1500');
    expect(counts).toContain('chaperone_requests_total{method="GET",status_class="2xx",vendor_id="unknown"} 1');
    expect(counts).toContain('chaperone_requests_total{method="GET",status_class="2xx",vendor_id="vendor-0"} 2');
  });

  test('without a vendor that was called, nothing about one', () => {
    const counted = metrics();
    counted.observe(request({ upstreamMs: -1 }));
    expect(linesOf(counted, 'chaperone_upstream_duration_seconds')).toEqual([]);
    expect(linesOf(counted, 'chaperone_request_duration_seconds')).toContain('chaperone_request_duration_seconds_count{vendor_id="acme"} 1');
  });
});

test('what is no call of a vendor is not counted: operations paths, and handshakes that failed', () => {
  const counted = metrics();
  counted.observe(request({ host: '', status: 200, upstreamMs: -1 }));
  counted.observe(request({ host: '', method: '', status: 0, error: 'client_tls_failed', upstreamMs: -1 }));
  expect(linesOf(counted, 'chaperone_requests_total')).toEqual([]);
  counted.observe(request({ host: '', status: 400, error: 'target_missing', upstreamMs: -1 }));
  expect(linesOf(counted, 'chaperone_requests_total')).toHaveLength(1);
});

test('a vendor that could not be reached is timed until its error', () => {
  const counted = metrics();
  counted.observe(request({ status: 502, error: 'upstream_refused', durationMs: 130, resolveMs: 20, upstreamMs: -1 }));
  expect(linesOf(counted, 'chaperone_upstream_duration_seconds')).toContain('chaperone_upstream_duration_seconds_sum{vendor_id="acme"} 0.11');
});

test('the rest', () => {
  const counted = metrics(undefined, () => 1_700_000_000.5);
  counted.panic();
  counted.observe(request({ error: 'internal_error', status: 500 }));
  counted.observe(request({ route: 'credentials' }));
  counted.observe(request({ route: 'credentials' }));
  counted.observe(forwarded('router'));
  counted.observe(forwarded('router', { upstreamMs: -1, upstreamError: 'upstream_response_timeout', error: 'forward_target_unavailable' }));
  counted.observe(forwarded('router', { upstreamMs: -1, error: 'client_aborted', outcome: 'aborted' }));
  counted.certRenewal(true);
  counted.certRenewal(false);
  counted.certRenewal(false);
  expect(linesOf(counted, 'chaperone_panics_total')).toEqual(['chaperone_panics_total{} 2']);
  expect(linesOf(counted, 'chaperone_route_decisions_total')).toEqual([
    'chaperone_route_decisions_total{action="credentials",target=""} 2',
    'chaperone_route_decisions_total{action="forward",target="router"} 3',
  ]);
  expect(linesOf(counted, 'chaperone_forward_target_errors_total')).toEqual([
    'chaperone_forward_target_errors_total{kind="timeout",target="router"} 1',
  ]);
  expect(linesOf(counted, 'chaperone_forward_target_duration_seconds')).toContain(
    'chaperone_forward_target_duration_seconds_count{target="router"} 2',
  );
  expect(linesOf(counted, 'chaperone_upstream_duration_seconds')).toContain('chaperone_upstream_duration_seconds_count{vendor_id="acme"} 3');
  expect(linesOf(counted, 'chaperone_cert_not_after_timestamp_seconds')).toEqual(['chaperone_cert_not_after_timestamp_seconds{} 1700000000.5']);
  expect(linesOf(counted, 'chaperone_cert_renewals_total')).toEqual([
    'chaperone_cert_renewals_total{status="failure"} 2',
    'chaperone_cert_renewals_total{status="success"} 1',
  ]);
});

test('targets are bounded too', () => {
  const counted = metrics();
  for (let i = 0; i < 1_000; i++) counted.observe(forwarded(`target-${i}`));
  const counts = linesOf(counted, 'chaperone_route_decisions_total');
  expect(counts).toHaveLength(501);
  expect(counts).toContain('chaperone_route_decisions_total{action="forward",target="other"} 500');
});

test('counts what the Prometheus client counts', async () => {
  const call = fc.record({
    vendorId: fc.constantFrom('acme', 'bolt', 'c.d'),
    status: fc.constantFrom(200, 201, 302, 404, 500),
    method: fc.constantFrom('GET', 'POST', 'DELETE'),
    durationMs: fc.constantFrom(0, 10, 10.5, 25, 149, 1_000, 10_000, 10_001),
    upstreamMs: fc.constantFrom(0, 5, 250, 99_000),
  });
  const faults = {
    upstream_tls_failed: 'tls',
    upstream_refused: 'connection',
    upstream_idle_timeout: 'timeout',
    upstream_response_malformed: 'other',
  } as const;
  const forward = fc.record({
    target: fc.constantFrom('r', 's'),
    ms: fc.nat(20_000),
    fault: fc.option(fc.constantFrom(...(Object.keys(faults) as (keyof typeof faults)[]))),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 30 }), fc.array(forward, { maxLength: 10 }), async (calls, forwards) => {
      const counted = metrics();
      const options = { help: 'x', registers: [new Registry()] };
      const buckets = [...chaperoneBuckets];
      const total = new Counter({ ...options, name: 'chaperone_requests_total', labelNames: ['vendor_id', 'status_class', 'method'] });
      const duration = new Histogram({ ...options, name: 'chaperone_request_duration_seconds', labelNames: ['vendor_id'], buckets });
      const upstream = new Histogram({ ...options, name: 'chaperone_upstream_duration_seconds', labelNames: ['vendor_id'], buckets });
      const toTarget = new Histogram({ ...options, name: 'chaperone_forward_target_duration_seconds', labelNames: ['target'], buckets });
      const errors = new Counter({ ...options, name: 'chaperone_forward_target_errors_total', labelNames: ['target', 'kind'] });
      const count = ({ vendorId, status, method, durationMs }: Exchange): void => {
        total.inc({ vendor_id: vendorId, status_class: `${Math.floor(status / 100)}xx`, method });
        duration.observe({ vendor_id: vendorId }, durationMs / 1000);
      };
      for (const one of calls.map(request)) {
        counted.observe(one);
        count(one);
        upstream.observe({ vendor_id: one.vendorId }, one.upstreamMs / 1000);
      }
      for (const { target, ms, fault } of forwards) {
        const one = forwarded(target, { durationMs: ms, upstreamMs: fault === null ? ms : -1, upstreamError: fault });
        counted.observe(one);
        count(one);
        toTarget.observe({ target }, ms / 1000);
        if (fault !== null) errors.inc({ target, kind: faults[fault] });
      }
      for (const metric of [total, duration, upstream, toTarget, errors]) {
        const { name, values } = await metric.get();
        const expected = values.map(({ labels, value, ...rest }) => {
          const texts = Object.fromEntries(Object.entries(labels).map(([label, text]) => [label, String(text)]));
          const own: Sample = { labels: texts, value };
          return 'metricName' in rest && typeof rest.metricName === 'string' ? { ...own, metric: rest.metricName } : own;
        });
        expect(linesOf(counted, name as keyof typeof chaperoneMetricDefinitions)).toEqual(lines(expected, name));
      }
    }),
    { numRuns: 40 },
  );
});
