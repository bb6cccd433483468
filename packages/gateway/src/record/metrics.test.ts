import { type ErrorCode, errorCatalogue, Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Exchange } from '../exchange.js';
import { chaperoneMetricDefinitions } from './chaperone-metric-definitions.js';
import { metricDefinitions } from './metric-definitions.js';
import { createMetrics, type Metrics } from './metrics.js';

interface Family {
  readonly help: string;
  readonly type: string;
  /** By the text before the value, which is the name with its labels. */
  readonly samples: Map<string, number>;
}

const LABELS = '\\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"(?:,|(?=\\})))+\\}';
// Values are what Go's ParseFloat reads, which takes NaN in any case; the library writes `Nan`.
const SAMPLE = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(${LABELS})? (\\+Inf|-Inf|Na[Nn]|-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?)$`);

/** Prometheus' text format read strictly: one block per metric with HELP, TYPE and its samples, none twice. */
function parseExposition(text: string): Map<string, Family> {
  expect(text.endsWith('\n')).toBe(true);
  const families = new Map<string, Family>();
  let name = '';
  let help = '';
  let family: Family | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const header = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (header?.[1] === 'HELP') {
      [, , name, help] = header;
      expect(families.has(name), `${name} stands twice`).toBe(false);
      family = undefined;
    } else if (header?.[1] === 'TYPE') {
      expect(header[2]).toBe(name);
      expect(['counter', 'gauge', 'histogram', 'summary']).toContain(header[3]);
      family = { help, type: header[3], samples: new Map() };
      families.set(name, family);
    } else if (line !== '') {
      expect(line).toMatch(SAMPLE);
      const [, sampleName = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
      const endings = family?.type === 'histogram' ? ['_bucket', '_sum', '_count'] : family?.type === 'summary' ? ['', '_sum', '_count'] : [''];
      expect(endings.map((ending) => name + ending)).toContain(sampleName);
      expect(family?.samples.has(sampleName + labels), `${line} stands twice`).toBe(false);
      family?.samples.set(sampleName + labels, value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value));
    }
  }
  for (const [metric, { type, samples }] of families) if (type === 'histogram') checkHistogram(metric, samples);
  return families;
}

/** Buckets only grow, the last one is +Inf and equals the count. */
function checkHistogram(name: string, samples: ReadonlyMap<string, number>): void {
  const byLabels = new Map<string, { bound: number; value: number }[]>();
  for (const [key, value] of samples) {
    const bound = /le="([^"]+)",?/.exec(key);
    if (bound === null) continue;
    const labels = key.slice(`${name}_bucket`.length).replace(bound[0], '').replace(',}', '}').replace('{}', '');
    const buckets = byLabels.get(labels) ?? [];
    buckets.push({ bound: bound[1] === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound[1]), value });
    byLabels.set(labels, buckets);
  }
  for (const [labels, buckets] of byLabels) {
    for (let index = 1; index < buckets.length; index++) {
      expect(buckets[index].bound).toBeGreaterThan(buckets[index - 1].bound);
      expect(buckets[index].value).toBeGreaterThanOrEqual(buckets[index - 1].value);
    }
    expect(buckets.at(-1)).toEqual({ bound: Number.POSITIVE_INFINITY, value: samples.get(`${name}_count${labels}`) });
    expect(samples.has(`${name}_sum${labels}`)).toBe(true);
  }
}

function exchange(changes: Partial<Exchange> = {}): Exchange {
  return Object.assign(new Exchange('forward', '127.0.0.1'), { method: 'GET', status: 200, durationMs: 3 }, changes);
}

async function scrape(metrics: Metrics): Promise<Map<string, Family>> {
  const { contentType, text } = await metrics.render();
  expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
  return parseExposition(text);
}

describe('The metrics', () => {
  test('are those that are documented, and those of the process', async () => {
    const families = await scrape(createMetrics({ version: '1.2.3' }));
    const own = [...families].filter(([name]) => name.startsWith('sallyport_'));
    expect(own.map(([name, { help, type }]) => [name, { help, type }])).toEqual(
      Object.entries(metricDefinitions).map(([name, { help, type }]) => [name, { help, type }]),
    );
    expect([...families.keys()]).toEqual(
      expect.arrayContaining(['process_cpu_seconds_total', 'nodejs_eventloop_lag_seconds', 'nodejs_heap_size_used_bytes']),
    );
    expect(families.get('sallyport_build_info')?.samples).toEqual(
      new Map([[`sallyport_build_info{version="1.2.3",node="${process.versions.node}"}`, 1]]),
    );
  });

  test('count what happened to exchanges', async () => {
    const metrics = createMetrics({ version: '1' });
    metrics.setCredentials(['github', 'odd "name"\\\n']);
    const secrets = [new Secret('material')];
    metrics.observe(exchange({ verdict: 'allowed', credential: 'github', secrets, requestBytes: 10, responseBytes: 300, upstreamMs: 1.5 }));
    metrics.observe(exchange({ verdict: 'observed', credential: 'odd "name"\\\n', secrets, status: 404 }));
    metrics.observe(exchange({ door: 'sidecar', method: 'BREW', credential: 'gone', secrets, status: 302, durationMs: 700_000 }));
    metrics.observe(exchange({ outcome: 'refused', status: 403, error: 'policy_denied', verdict: 'denied', credential: 'github' }));
    metrics.observe(exchange({ outcome: 'aborted', status: 0, error: 'client_aborted' }));
    metrics.observe(
      exchange({ kind: 'tunnel', method: 'CONNECT', verdict: 'passthrough', durationMs: 3_600_000, requestBytes: 5, responseBytes: 7 }),
    );
    const families = await scrape(metrics);
    const samples = (name: string): Record<string, number> => Object.fromEntries(families.get(name)?.samples ?? []);
    expect(samples('sallyport_exchanges_total')).toEqual({
      'sallyport_exchanges_total{door="forward",method="GET",status_class="2xx",outcome="completed"}': 1,
      'sallyport_exchanges_total{door="forward",method="GET",status_class="4xx",outcome="completed"}': 1,
      'sallyport_exchanges_total{door="sidecar",method="other",status_class="3xx",outcome="completed"}': 1,
      'sallyport_exchanges_total{door="forward",method="GET",status_class="4xx",outcome="refused"}': 1,
      'sallyport_exchanges_total{door="forward",method="GET",status_class="none",outcome="aborted"}': 1,
      'sallyport_exchanges_total{door="forward",method="CONNECT",status_class="2xx",outcome="completed"}': 1,
    });
    expect(samples('sallyport_refusals_total')).toEqual({ 'sallyport_refusals_total{code="policy_denied"}': 1 });
    expect(samples('sallyport_errors_total')).toEqual({ 'sallyport_errors_total{code="client_aborted"}': 1 });
    expect(samples('sallyport_policy_verdicts_total')).toEqual({
      'sallyport_policy_verdicts_total{verdict="allowed"}': 1,
      'sallyport_policy_verdicts_total{verdict="denied"}': 1,
      'sallyport_policy_verdicts_total{verdict="observed"}': 1,
      'sallyport_policy_verdicts_total{verdict="passthrough"}': 1,
    });
    expect(samples('sallyport_credential_injections_total')).toEqual({
      'sallyport_credential_injections_total{credential="github"}': 1,
      'sallyport_credential_injections_total{credential="odd \\"name\\"\\\\\\n"}': 1,
      'sallyport_credential_injections_total{credential="other"}': 1,
    });
    expect(samples('sallyport_bytes_total')).toEqual({
      'sallyport_bytes_total{door="forward",direction="request"}': 15,
      'sallyport_bytes_total{door="forward",direction="response"}': 307,
      'sallyport_bytes_total{door="sidecar",direction="request"}': 0,
      'sallyport_bytes_total{door="sidecar",direction="response"}': 0,
    });
    expect(samples('sallyport_exchange_duration_seconds')).toMatchObject({
      'sallyport_exchange_duration_seconds_bucket{le="0.0025",door="forward"}': 0,
      'sallyport_exchange_duration_seconds_bucket{le="0.005",door="forward"}': 4,
      'sallyport_exchange_duration_seconds_count{door="forward"}': 4,
      'sallyport_exchange_duration_seconds_bucket{le="120",door="sidecar"}': 0,
      'sallyport_exchange_duration_seconds_bucket{le="+Inf",door="sidecar"}': 1,
      'sallyport_exchange_duration_seconds_sum{door="sidecar"}': 700,
    });
    expect(samples('sallyport_upstream_duration_seconds')).toMatchObject({
      'sallyport_upstream_duration_seconds_bucket{le="0.001",door="forward"}': 0,
      'sallyport_upstream_duration_seconds_bucket{le="0.0025",door="forward"}': 1,
      'sallyport_upstream_duration_seconds_count{door="forward"}': 1,
      'sallyport_upstream_duration_seconds_count{door="sidecar"}': 0,
    });
  });

  test('count why requests were denied, whether credentials were at hand, and handshakes that failed', async () => {
    const metrics = createMetrics({ version: '1' });
    metrics.observe(exchange({ outcome: 'refused', error: 'policy_denied', denial: 'no_path_match' }));
    metrics.observe(exchange({ outcome: 'refused', error: 'address_denied' }));
    metrics.observe(exchange({ resolveMs: 0 }));
    metrics.observe(exchange({ resolveMs: 0 }));
    metrics.observe(exchange({ resolveMs: 12 }));
    metrics.observe(exchange({ outcome: 'failed', error: 'client_tls_failed' }));
    metrics.observe(exchange({ outcome: 'failed', error: 'forward_target_unavailable', upstreamError: 'upstream_tls_expired' }));
    metrics.credentialFetched(true);
    metrics.credentialFetched(false);
    metrics.credentialFetched(false);
    metrics.pluginCalled('signCsr', 'failed', 30);
    metrics.watch('sallyport_certificate_not_after_seconds', { listener: 'forward' }, () => null);
    metrics.watch('sallyport_certificate_not_after_seconds', { listener: 'sidecar' }, () => 1_800_000_000);
    const families = await scrape(metrics);
    const samples = (name: string): Record<string, number> => Object.fromEntries(families.get(name)?.samples ?? []);
    expect(samples('sallyport_policy_denials_total')).toEqual({
      'sallyport_policy_denials_total{reason="no_path_match"}': 1,
      'sallyport_policy_denials_total{reason="address"}': 1,
    });
    expect(samples('sallyport_credential_lookups_total')).toEqual({
      'sallyport_credential_lookups_total{result="hit"}': 2,
      'sallyport_credential_lookups_total{result="miss"}': 1,
    });
    expect(samples('sallyport_credential_fetches_total')).toEqual({
      'sallyport_credential_fetches_total{result="succeeded"}': 1,
      'sallyport_credential_fetches_total{result="failed"}': 2,
    });
    expect(samples('sallyport_tls_handshake_failures_total')).toEqual({
      'sallyport_tls_handshake_failures_total{side="client"}': 1,
      'sallyport_tls_handshake_failures_total{side="upstream"}': 1,
    });
    expect(samples('sallyport_plugin_duration_seconds')).toMatchObject({
      'sallyport_plugin_duration_seconds_bucket{le="0.025",method="signCsr",result="failed"}': 0,
      'sallyport_plugin_duration_seconds_bucket{le="0.05",method="signCsr",result="failed"}': 1,
      'sallyport_plugin_duration_seconds_sum{method="signCsr",result="failed"}': 0.03,
    });
    expect(samples('sallyport_certificate_not_after_seconds')).toEqual({
      'sallyport_certificate_not_after_seconds{listener="sidecar"}': 1_800_000_000,
    });
  });

  test('of Chaperone stand beside ours while the sidecar listens', async () => {
    const metrics = createMetrics({ version: '1' });
    metrics.watch('sallyport_active_exchanges', { door: 'sidecar' }, () => 7);
    metrics.watch('sallyport_certificate_not_after_seconds', { listener: 'sidecar' }, () => 1_800_000_000);
    metrics.certificateRenewed(false);
    metrics.internalFault();
    expect([...(await scrape(metrics)).keys()].filter((name) => name.startsWith('chaperone_'))).toEqual([]);
    metrics.setSidecar(true);
    const families = await scrape(metrics);
    expect([...families.keys()].filter((name) => name.startsWith('chaperone_'))).toEqual(Object.keys(chaperoneMetricDefinitions));
    const values = ['chaperone_active_connections', 'chaperone_cert_not_after_timestamp_seconds', 'chaperone_panics_total'].map((name) =>
      families.get(name)?.samples.get(name),
    );
    expect(values).toEqual([7, 1_800_000_000, 1]);
    expect(families.get('chaperone_cert_renewals_total')?.samples.get('chaperone_cert_renewals_total{status="failure"}')).toBe(1);
  });

  test('keep the counts of credentials that stay over a reload, and count reloads and faults', async () => {
    const metrics = createMetrics({ version: '1' });
    const injected = exchange({ credential: 'stays', secrets: [new Secret('material')] });
    metrics.setCredentials(['stays', 'goes']);
    metrics.observe(injected);
    metrics.setCredentials(['stays', 'comes']);
    metrics.observe(injected);
    metrics.configReloaded('applied');
    metrics.configReloaded('rejected');
    metrics.configReloaded('rejected');
    metrics.internalFault();
    const families = await scrape(metrics);
    expect(Object.fromEntries(families.get('sallyport_credential_injections_total')?.samples ?? [])).toEqual({
      'sallyport_credential_injections_total{credential="stays"}': 2,
      'sallyport_credential_injections_total{credential="comes"}': 0,
    });
    expect(Object.fromEntries(families.get('sallyport_config_reloads_total')?.samples ?? [])).toEqual({
      'sallyport_config_reloads_total{result="applied"}': 1,
      'sallyport_config_reloads_total{result="rejected"}': 2,
    });
    expect(families.get('sallyport_internal_faults_total')?.samples).toEqual(new Map([['sallyport_internal_faults_total', 1]]));
  });

  test('ask for what others know at every scrape, and the last one to be named answers', async () => {
    const metrics = createMetrics({ version: '1' });
    let open = 3;
    metrics.watch('sallyport_client_connections', { door: 'forward' }, () => open);
    metrics.watch('sallyport_client_connections', { door: 'sidecar' }, () => 1);
    metrics.watch('sallyport_tunnels', {}, () => 1);
    metrics.watch('sallyport_tunnels', {}, () => 2);
    metrics.watch('sallyport_events_dropped_total', {}, () => 9);
    await scrape(metrics);
    open = 4;
    const families = await scrape(metrics);
    expect(Object.fromEntries(families.get('sallyport_client_connections')?.samples ?? [])).toEqual({
      'sallyport_client_connections{door="forward"}': 4,
      'sallyport_client_connections{door="sidecar"}': 1,
    });
    expect(families.get('sallyport_tunnels')?.samples).toEqual(new Map([['sallyport_tunnels', 2]]));
    expect(families.get('sallyport_events_dropped_total')).toMatchObject({
      type: 'counter',
      samples: new Map([['sallyport_events_dropped_total', 9]]),
    });
  });

  test('stay within bounded label sets and add up, whatever the exchanges hold', async () => {
    const arbitrary = fc.record({
      door: fc.constantFrom('forward' as const, 'sidecar' as const),
      kind: fc.constantFrom('request' as const, 'tunnel' as const, 'upgrade' as const),
      method: fc.oneof(fc.constantFrom('GET', 'POST', 'get', '__proto__', 'constructor'), fc.string()),
      status: fc.nat(999),
      outcome: fc.constantFrom('completed' as const, 'refused' as const, 'failed' as const, 'aborted' as const),
      error: fc.option(fc.constantFrom(...(Object.keys(errorCatalogue) as ErrorCode[]))),
      denial: fc.option(fc.string()),
      vendorId: fc.string(),
      forwardTarget: fc.option(fc.constantFrom('a', 'b')),
      credential: fc.option(fc.string()),
      secrets: fc.constantFrom([], [new Secret('material')]),
      upstreamMs: fc.oneof(fc.constant(-1), fc.double({ min: 0, max: 1e6, noNaN: true })),
      durationMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
      host: fc.string(),
      path: fc.string(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(arbitrary, { minLength: 1, maxLength: 60 }), async (list) => {
        const metrics = createMetrics({ version: '1' });
        metrics.setSidecar(true);
        for (const changes of list) metrics.observe(exchange(changes));
        const families = await scrape(metrics);
        const total = (name: string): number => [...(families.get(name)?.samples.values() ?? [])].reduce((sum, value) => sum + value, 0);
        expect(total('sallyport_exchanges_total')).toBe(list.length);
        expect(total('sallyport_refusals_total') + total('sallyport_errors_total')).toBe(list.filter(({ error }) => error !== null).length);
        expect(families.get('sallyport_credential_injections_total')?.samples.size).toBeLessThanOrEqual(1);
        for (const key of families.get('sallyport_exchanges_total')?.samples.keys() ?? []) {
          expect(key).toMatch(/method="(?:[A-Z]{3,7}|other)",status_class="(?:none|[1-5]xx)"/);
        }
      }),
      { numRuns: 30 },
    );
  });
});
