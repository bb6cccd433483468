import fc from 'fast-check';
import { Counter, Histogram, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { chaperoneBuckets, chaperoneMetricDefinitions } from './chaperone-metric-definitions.js';
import { type ChaperoneMetrics, type ChaperoneRequest, createChaperoneMetrics, type ForwardErrorKind } from './chaperone-metrics.js';
import type { Sample } from './metric-cells.js';

function metrics(activeRequests = () => 0): ChaperoneMetrics {
  return createChaperoneMetrics({ activeRequests });
}

const REQUEST: ChaperoneRequest = { vendorId: 'acme', status: 200, method: 'GET', durationMs: 12, upstreamMs: 10 };

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
  const counted = metrics();
  counted.observeRequest(REQUEST);
  counted.routeDecision('forward', 'router');
  counted.forwardTarget('router', 5, 'tls');
  counted.certNotAfter(1_700_000_000_500);
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
    counted.observeRequest({ ...REQUEST, status });
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
    counted.observeRequest({ ...REQUEST, method });
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
    counted.observeRequest({ ...REQUEST, vendorId });
    counted.observeRequest({ ...REQUEST, vendorId });
    expect(linesOf(counted, 'chaperone_requests_total')).toEqual([
      `chaperone_requests_total{method="GET",status_class="2xx",vendor_id="${label}"} 2`,
    ]);
  });

  test('more vendors than are kept apart are counted together', () => {
    const counted = metrics();
    for (let i = 0; i < 2_000; i++) counted.observeRequest({ ...REQUEST, vendorId: `vendor-${i}` });
    counted.observeRequest({ ...REQUEST, vendorId: '?' });
    counted.observeRequest({ ...REQUEST, vendorId: 'vendor-0' });
    const counts = linesOf(counted, 'chaperone_requests_total');
    expect(counts).toHaveLength(502);
    expect(counts).toContain('chaperone_requests_total{method="GET",status_class="2xx",vendor_id="other"} 1500');
    expect(counts).toContain('chaperone_requests_total{method="GET",status_class="2xx",vendor_id="unknown"} 1');
    expect(counts).toContain('chaperone_requests_total{method="GET",status_class="2xx",vendor_id="vendor-0"} 2');
  });

  test('without a vendor that was called, nothing about one', () => {
    const counted = metrics();
    counted.observeRequest({ ...REQUEST, upstreamMs: -1 });
    expect(linesOf(counted, 'chaperone_upstream_duration_seconds')).toEqual([]);
    expect(linesOf(counted, 'chaperone_request_duration_seconds')).toContain('chaperone_request_duration_seconds_count{vendor_id="acme"} 1');
  });
});

test('the rest', () => {
  const counted = metrics();
  counted.panic();
  counted.routeDecision('credentials', '');
  counted.routeDecision('credentials', '');
  counted.routeDecision('forward', 'router');
  counted.forwardTarget('router', 20, null);
  counted.forwardTarget('router', 20, 'timeout');
  counted.certNotAfter(1_700_000_000_500);
  counted.certRenewal(true);
  counted.certRenewal(false);
  counted.certRenewal(false);
  expect(linesOf(counted, 'chaperone_panics_total')).toEqual(['chaperone_panics_total{} 1']);
  expect(linesOf(counted, 'chaperone_route_decisions_total')).toEqual([
    'chaperone_route_decisions_total{action="credentials",target=""} 2',
    'chaperone_route_decisions_total{action="forward",target="router"} 1',
  ]);
  expect(linesOf(counted, 'chaperone_forward_target_errors_total')).toEqual([
    'chaperone_forward_target_errors_total{kind="timeout",target="router"} 1',
  ]);
  expect(linesOf(counted, 'chaperone_forward_target_duration_seconds')).toContain(
    'chaperone_forward_target_duration_seconds_count{target="router"} 2',
  );
  expect(linesOf(counted, 'chaperone_cert_not_after_timestamp_seconds')).toEqual(['chaperone_cert_not_after_timestamp_seconds{} 1700000000.5']);
  expect(linesOf(counted, 'chaperone_cert_renewals_total')).toEqual([
    'chaperone_cert_renewals_total{status="failure"} 2',
    'chaperone_cert_renewals_total{status="success"} 1',
  ]);
});

test('targets are bounded too', () => {
  const counted = metrics();
  for (let i = 0; i < 1_000; i++) counted.routeDecision('forward', `target-${i}`);
  const counts = linesOf(counted, 'chaperone_route_decisions_total');
  expect(counts).toHaveLength(501);
  expect(counts).toContain('chaperone_route_decisions_total{action="forward",target="other"} 500');
});

test('counts what the Prometheus client counts', async () => {
  const request = fc.record({
    vendorId: fc.constantFrom('acme', 'bolt', 'c.d'),
    status: fc.constantFrom(200, 201, 302, 404, 500),
    method: fc.constantFrom('GET', 'POST', 'DELETE'),
    durationMs: fc.constantFrom(0, 10, 10.5, 25, 149, 1_000, 10_000, 10_001),
    upstreamMs: fc.constantFrom(0, 5, 250, 99_000),
  });
  const forward = fc.record({
    target: fc.constantFrom('r', 's'),
    ms: fc.nat(20_000),
    kind: fc.constantFrom<ForwardErrorKind | null>(null, 'tls', 'other'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 30 }), fc.array(forward, { maxLength: 10 }), async (requests, forwards) => {
      const counted = metrics();
      const options = { help: 'x', registers: [new Registry()] };
      const buckets = [...chaperoneBuckets];
      const total = new Counter({ ...options, name: 'chaperone_requests_total', labelNames: ['vendor_id', 'status_class', 'method'] });
      const duration = new Histogram({ ...options, name: 'chaperone_request_duration_seconds', labelNames: ['vendor_id'], buckets });
      const upstream = new Histogram({ ...options, name: 'chaperone_upstream_duration_seconds', labelNames: ['vendor_id'], buckets });
      const toTarget = new Histogram({ ...options, name: 'chaperone_forward_target_duration_seconds', labelNames: ['target'], buckets });
      const errors = new Counter({ ...options, name: 'chaperone_forward_target_errors_total', labelNames: ['target', 'kind'] });
      for (const one of requests) {
        counted.observeRequest(one);
        total.inc({ vendor_id: one.vendorId, status_class: `${Math.floor(one.status / 100)}xx`, method: one.method });
        duration.observe({ vendor_id: one.vendorId }, one.durationMs / 1000);
        upstream.observe({ vendor_id: one.vendorId }, one.upstreamMs / 1000);
      }
      for (const { target, ms, kind } of forwards) {
        counted.forwardTarget(target, ms, kind);
        toTarget.observe({ target }, ms / 1000);
        if (kind !== null) errors.inc({ target, kind });
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
