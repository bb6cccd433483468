import type { Plugin } from '@sallyport/sdk';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Response } from '../../testing/message-reader.test.support.js';
import { connectThrough, rawClient, secure } from '../../testing/raw-client.test.support.js';
import { echoed, plainScene, type Scene, secureScene, stopEverything } from '../../testing/scene.test.support.js';
import { echo, reply, type Script, startUpstream } from '../../testing/scripted-upstream.test.support.js';
import { type Collector, type ReceivedSpan, startCollector, stopCollectors } from './collector.test.support.js';
import { spanIdOf } from './correlation-id.js';

afterEach(async () => {
  vi.unstubAllEnvs();
  await stopEverything();
  await stopCollectors();
});

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const PARENT = `traceparent: 00-${TRACE}-${CALLER}-01`;
const SECRET = 'the-secret-value';
const KIND = { internal: 1, server: 2, client: 3 };

const CREDENTIALS = `
credentials:
  key: { source: { type: static, value: ${SECRET} }, bind: [{ hosts: ["api.test:*"], place: { header: X-Key }, plaintext: true }] }`;

/** A scene that exports traces. */
async function traced(options: { script?: Script; sections?: string; telemetry?: string } = {}): Promise<Scene & { collector: Collector }> {
  const collector = await startCollector();
  const telemetry = `telemetry: { tracing: true, endpoint: "${collector.url}/"${options.telemetry ?? ''} }`;
  return { ...(await plainScene(options.script ?? echo, `${telemetry}${options.sections ?? ''}`)), collector };
}

/** Stops the gateway, which exports what is left, and answers all spans that came. */
async function exported({ gateway, collector }: { gateway: Scene['gateway']; collector: Collector }): Promise<readonly ReceivedSpan[]> {
  await gateway.gateway.stop();
  return collector.spans;
}

async function viaForward({ gateway, origin, authority }: Scene, lines: readonly string[] = [], path = '/a?q=1'): Promise<Response> {
  const client = await rawClient(gateway.forward);
  const response = await client.request(`GET ${origin}${path} HTTP/1.1`, [`Host: ${authority}`, ...lines]);
  client.close();
  return response;
}

async function viaSidecar({ gateway, origin }: Scene, lines: readonly string[] = [], path = '/a?q=1'): Promise<Response> {
  const client = await rawClient(gateway.sidecar);
  const response = await client.request('POST /proxy HTTP/1.1', ['Host: side.test:8443', `X-Connect-Target-URL: ${origin}${path}`, ...lines]);
  client.close();
  return response;
}

/** The fields of that name as the upstream got them. */
function sent(response: Response, name: string): readonly string[] {
  return echoed(response).lines.filter((line) => line.toLowerCase().startsWith(`${name}:`));
}

const span = (spans: readonly ReceivedSpan[], kind: keyof typeof KIND): ReceivedSpan => {
  const found = spans.filter((one) => one.kind === KIND[kind]);
  expect(found).toHaveLength(1);
  return found[0];
};

describe('without tracing', () => {
  test('nobody touches the fields, and no span is made', async () => {
    const scene = await plainScene();
    const lines = [PARENT, 'traceparent: nonsense', 'tracestate: A', 'baggage: ;'];
    const response = await viaForward(scene, lines);
    expect(echoed(response).lines).toEqual(expect.arrayContaining(lines));
    expect((await scene.gateway.recorded(1)).trace).toBeNull();
    expect(await scene.gateway.log()).not.toContain('trace_id');
  });

  test('the variables switch it off, whatever the configuration says', async () => {
    vi.stubEnv('OTEL_SDK_DISABLED', 'true');
    const scene = await traced({ telemetry: ', metrics: true' });
    expect(sent(await viaForward(scene, [PARENT]), 'traceparent')).toEqual([PARENT]);
    await exported(scene);
    expect(scene.collector.requests).toEqual([]);
  });
});

describe('a trace', () => {
  test('of the forward proxy goes from the caller over us to the upstream', async () => {
    const scene = await traced({ sections: CREDENTIALS });
    const response = await viaForward(scene, [PARENT, 'tracestate: a=1,b=2', 'baggage: user=7']);
    const [line] = sent(response, 'traceparent');
    expect(sent(response, 'traceparent')).toHaveLength(1);
    expect(sent(response, 'tracestate')).toEqual(['tracestate: a=1,b=2']);
    expect(sent(response, 'baggage')).toEqual(['baggage: user=7']);
    const spans = await exported(scene);
    const server = span(spans, 'server');
    const client = span(spans, 'client');
    expect(line).toBe(`traceparent: 00-${TRACE}-${client.spanId}-01`);
    expect(server).toMatchObject({ traceId: TRACE, parentSpanId: CALLER, traceState: 'a=1,b=2', name: 'GET', status: { code: 0 } });
    expect(client).toMatchObject({ traceId: TRACE, parentSpanId: server.spanId, name: 'GET api.test', status: { code: 0 } });
    const target = {
      'http.request.method': 'GET',
      'url.scheme': 'http',
      'server.address': 'api.test',
      'server.port': scene.upstream.port,
      'url.path': '/a',
    };
    expect(server.attributes).toMatchObject({
      ...target,
      'http.response.status_code': 200,
      'client.address': '127.0.0.1',
      'sallyport.door': 'forward',
      'sallyport.caller': 'here',
      'sallyport.credential': 'key',
      'sallyport.verdict': 'allowed',
    });
    expect(client.attributes).toEqual({ ...target, 'http.response.status_code': 200, 'network.peer.address': expect.stringContaining('127.0.0.1') });
    expect(Number(client.startTimeUnixNano)).toBeGreaterThanOrEqual(Number(server.startTimeUnixNano));
    expect(Number(client.endTimeUnixNano)).toBeLessThanOrEqual(Number(server.endTimeUnixNano));
    expect(scene.collector.resources[0]).toMatchObject({ 'service.name': 'sallyport', 'service.version': '0.0.0-test' });
    expect(JSON.stringify(scene.collector.requests)).not.toContain(SECRET);
    expect(JSON.stringify(scene.collector.requests)).not.toContain('q=1');
    expect(await scene.gateway.log()).toContain(`"trace_id":"${TRACE}","span_id":"${server.spanId}"`);
  });

  test('of the sidecar carries the names of Chaperone, and the target with the attempt', async () => {
    const scene = await traced();
    await viaSidecar(scene, [PARENT, 'X-Connect-Vendor-ID: acme', 'X-Connect-Service-ID: billing', 'Connect-Request-ID: req-1']);
    const spans = await exported(scene);
    expect(span(spans, 'server')).toMatchObject({
      name: 'POST /proxy',
      parentSpanId: CALLER,
      attributes: {
        'url.scheme': 'http',
        'url.path': '/proxy',
        'server.address': 'side.test',
        'server.port': 8443,
        'sallyport.door': 'sidecar',
        'chaperone.vendor_id': 'acme',
        'chaperone.service_id': 'billing',
        'chaperone.connect_request_id': 'req-1',
      },
    });
    expect(span(spans, 'client')).toMatchObject({ name: 'POST api.test', attributes: { 'url.path': '/a', 'server.address': 'api.test' } });
    expect(await scene.gateway.log()).toContain('"vendor_id":"acme"');
  });

  test.each([
    ['a UUID', '550e8400-e29b-41d4-a716-446655440000', '550e8400e29b41d4a716446655440000'],
    ['a text', 'foobar', '343e1662793c64bf6f0d3597ba446f18'],
  ])('is that of the correlation id where no caller says one: %s', async (_, id, trace) => {
    const scene = await traced();
    const response = await viaSidecar(scene, [`Connect-Request-ID: ${id}`, 'tracestate: a=1', 'baggage: ;']);
    expect(sent(response, 'tracestate')).toEqual([]);
    expect(sent(response, 'baggage')).toEqual([]);
    expect(span(await exported(scene), 'server')).toMatchObject({ traceId: trace, parentSpanId: spanIdOf(id) });
  });

  test('is that of the request id that we make, and begins here', async () => {
    const scene = await traced();
    await viaForward(scene, [PARENT, PARENT]);
    const { requestId } = await scene.gateway.recorded(1);
    const server = span(await exported(scene), 'server');
    expect(server.traceId).toBe(requestId.replaceAll('-', ''));
    expect(server.parentSpanId ?? '').toBe('');
  });

  test('that the caller does not keep is not exported, and goes on as such', async () => {
    const scene = await traced();
    const response = await viaForward(scene, [`traceparent: 00-${TRACE}-${CALLER}-00`]);
    expect(sent(response, 'traceparent')[0]).toMatch(new RegExp(`^traceparent: 00-${TRACE}-[0-9a-f]{16}-00$`));
    expect(sent(response, 'traceparent')[0]).not.toContain(CALLER);
    expect(await exported(scene)).toEqual([]);
  });

  test('is kept by the ratio of the configuration where it begins here', async () => {
    const scene = await traced({ telemetry: ', sample: 0' });
    await viaForward(scene);
    await viaForward(scene, [PARENT]);
    expect((await exported(scene)).filter(({ kind }) => kind === KIND.server)).toMatchObject([{ traceId: TRACE }]);
  });

  test('goes through an intercepted connection', async () => {
    const collector = await startCollector();
    const scene = await secureScene(echo, `telemetry: { tracing: true, endpoint: "${collector.url}" }`);
    const tunnel = await connectThrough(scene.gateway.forward, scene.authority);
    const client = await secure(tunnel, { servername: 'api.test', ca: scene.gateway.caPem });
    const response = await client.request('GET /x HTTP/1.1', [`Host: ${scene.authority}`, PARENT]);
    client.close();
    const spans = await exported({ gateway: scene.gateway, collector });
    expect(sent(response, 'traceparent')).toEqual([`traceparent: 00-${TRACE}-${span(spans, 'client').spanId}-01`]);
    expect(span(spans, 'server')).toMatchObject({ parentSpanId: CALLER, attributes: { 'url.scheme': 'https', 'url.path': '/x' } });
  });

  test('tells no path where the log does not', async () => {
    const scene = await traced({ sections: '\nlog: { target: host, file: /dev/null }' });
    await viaSidecar(scene, [], '/in-the-path');
    const spans = await exported(scene);
    expect(span(spans, 'server').attributes).toMatchObject({ 'url.path': '/proxy' });
    expect(JSON.stringify(spans)).not.toContain('in-the-path');
  });

  test('tells no secret that the client and the upstream repeat', async () => {
    const scene = await traced({ sections: CREDENTIALS });
    await viaForward(scene, [], `/${SECRET}`);
    expect(span(await exported(scene), 'client').attributes['url.path']).toBe('/[secret]');
  });
});

describe('attempts at the upstream', () => {
  test('that could not be made are there, with what went wrong', async () => {
    const scene = await traced({ sections: '\npolicy: { rules: ["allow other.test:* to 127.0.0.0/8"] }' });
    const client = await rawClient(scene.gateway.forward);
    expect((await client.request('GET http://other.test:1/ HTTP/1.1', ['Host: other.test:1'])).status).toBe(502);
    client.close();
    const spans = await exported(scene);
    expect(span(spans, 'client')).toMatchObject({
      name: 'GET other.test',
      status: { code: 2 },
      attributes: { 'error.type': 'connection_error', 'sallyport.error': 'upstream_refused' },
    });
    expect(span(spans, 'server')).toMatchObject({
      status: { code: 2 },
      attributes: { 'error.type': 'upstream_refused', 'http.response.status_code': 502 },
    });
  });

  test.each([
    [404, 0, '404'],
    [503, 2, '503'],
  ])('that were answered %d', async (status, code, type) => {
    const scene = await traced({ script: (_, socket) => void socket.write(reply(status)) });
    await viaForward(scene);
    expect(span(await exported(scene), 'client')).toMatchObject({
      status: { code },
      attributes: { 'http.response.status_code': status, 'error.type': type },
    });
  });

  test('a request that goes out again over a new connection is another one, and the upstream can tell', async () => {
    const seen: string[] = [];
    const script: Script = (request, socket) => {
      const line = request.lines.find((one) => one.startsWith('traceparent: ')) ?? '';
      seen.push(line);
      // The second request on the first connection finds it dead.
      if (request.connection === 0 && seen.length === 2) request.reset();
      else socket.write(reply(200));
    };
    const scene = await traced({ script });
    const client = await rawClient(scene.gateway.forward);
    for (const path of ['/1', '/2']) {
      const response = await client.request(`GET ${scene.origin}${path} HTTP/1.1`, [`Host: ${scene.authority}`, PARENT]);
      expect(response.status).toBe(200);
    }
    client.close();
    const spans = await exported(scene);
    const attempts = spans.filter(({ kind }) => kind === KIND.client);
    expect(attempts.map(({ spanId }) => `traceparent: 00-${TRACE}-${spanId}-01`)).toEqual(seen);
    expect(new Set(seen).size).toBe(3);
    expect(attempts.map(({ attributes }) => [attributes['error.type'], attributes['http.request.resend_count']])).toEqual([
      [undefined, undefined],
      ['connection_error', undefined],
      [undefined, 1],
    ]);
  });

  test('a request that is refused has none', async () => {
    const scene = await traced();
    const client = await rawClient(scene.gateway.forward);
    await client.request('GET http://denied.test/ HTTP/1.1', ['Host: denied.test', PARENT]);
    client.close();
    const spans = await exported(scene);
    expect(spans).toHaveLength(1);
    expect(span(spans, 'server')).toMatchObject({
      status: { code: 0 },
      attributes: { 'error.type': 'policy_denied', 'sallyport.outcome': 'refused' },
    });
  });
});

describe('forward targets', () => {
  const plugin: Plugin = { routeRequest: () => ({ forwardTo: 'router' }) };
  const section = (port: number): string => `\nforward_targets: { router: { url: "http://127.0.0.1:${port}/in?token=1", insecure: true } }`;

  test('are attempts of their own, with all that is counted about them', async () => {
    const collector = await startCollector();
    const telemetry = `telemetry: { tracing: true, endpoint: "${collector.url}" }`;
    const router = await startUpstream(echo);
    const { gateway, origin } = await plainScene(echo, `${telemetry}${section(router.port)}`, {}, { plugin });
    const client = await rawClient(gateway.sidecar);
    const call = (): Promise<Response> =>
      client.request('GET /proxy HTTP/1.1', ['Host: side.test', `X-Connect-Target-URL: ${origin}/a`, 'X-Connect-Vendor-ID: acme', PARENT]);
    const response = await call();
    const [routed] = router.requests;
    await router.stop();
    expect((await call()).status).toBe(502);
    client.close();
    const metrics = await gateway.metrics();
    const spans = await exported({ gateway, collector });
    const attempts = spans.filter(({ kind }) => kind === KIND.client);
    expect(routed.lines.filter((line) => line.startsWith('traceparent'))).toEqual([`traceparent: 00-${TRACE}-${attempts[0].spanId}-01`]);
    expect(response.status).toBe(200);
    expect(attempts.map(({ name, attributes }) => [name, attributes['sallyport.forward_target'], attributes['sallyport.error']])).toEqual([
      ['GET router', 'router', undefined],
      ['GET router', 'router', 'upstream_refused'],
    ]);
    expect(JSON.stringify(spans)).not.toContain('token=1');
    expect(metrics).toContain('chaperone_route_decisions_total{action="forward",target="router"} 2');
    expect(metrics).toContain('chaperone_forward_target_duration_seconds_count{target="router"} 2');
    expect(metrics).toContain('chaperone_forward_target_errors_total{target="router",kind="connection"} 1');
    expect(metrics).not.toContain('chaperone_upstream_duration_seconds_count');
  });
});

describe('the collector', () => {
  test('gets the header fields and the resource that are configured, over those of the variables', async () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x-team=vars,x-other=vars');
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'deployment.environment=vars,region=vars');
    vi.stubEnv('OTEL_SERVICE_NAME', 'vars');
    const scene = await traced({ telemetry: ', headers: { X-Team: mine }, service_name: mine, resource: { region: mine }' });
    await viaForward(scene);
    await exported(scene);
    expect(scene.collector.requests[0]).toMatchObject({ path: '/v1/traces', headers: { 'x-team': 'mine', 'x-other': 'vars' } });
    expect(scene.collector.resources[0]).toMatchObject({ 'service.name': 'mine', region: 'mine', 'deployment.environment': 'vars' });
  });

  test('is found by the variables where the configuration names none', async () => {
    const collector = await startCollector();
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url);
    vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '1');
    const scene = await plainScene(echo, 'telemetry: { tracing: true }');
    await viaForward(scene, [PARENT]);
    await collector.until(() => collector.spans.length === 2);
    expect(span(collector.spans, 'server').traceId).toBe(TRACE);
  });

  test('that refuses harms no request; the log says so once, and the spans are counted as lost', async () => {
    vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '1');
    const scene = await traced({ telemetry: `, headers: { Authorization: "Bearer ${SECRET}" }` });
    scene.collector.status = 400;
    for (let i = 1; i <= 3; i++) {
      expect((await viaForward(scene)).status).toBe(200);
      await scene.collector.until(() => scene.collector.requests.length >= i);
    }
    await exported(scene);
    const log = await scene.gateway.log();
    expect(log.match(/The export of traces fails/g)).toHaveLength(1);
    expect(log).not.toContain(SECRET);
  });

  test('that is not there does not keep the gateway from stopping', async () => {
    const scene = await traced({ sections: '\nshutdown: { drain: 50ms }' });
    await scene.collector.stop();
    expect((await viaForward(scene)).status).toBe(200);
    await scene.gateway.gateway.stop();
    expect(scene.collector.spans).toEqual([]);
  });

  test('cannot be exchanged while the gateway runs', async () => {
    const scene = await traced({ telemetry: ', headers: { X-Team: one }' });
    const with_ = (team: string): string => `telemetry: { tracing: true, endpoint: "${scene.collector.url}/", headers: { X-Team: ${team} } }`;
    await scene.gateway.reload(with_('one'));
    await expect(scene.gateway.reload(with_('two'))).rejects.toMatchObject({ message: 'gateway.telemetry changed, which takes a restart' });
  });
});

describe('metrics', () => {
  test('are exported with the numbers and names of /metrics', async () => {
    const collector = await startCollector();
    const scene = await plainScene(echo, `telemetry: { metrics: true, endpoint: "${collector.url}", interval: 10ms }${CREDENTIALS}`);
    await viaSidecar(scene, ['X-Connect-Vendor-ID: acme']);
    await viaForward(scene);
    await scene.gateway.recorded(2);
    const total = (): number =>
      (collector.metrics.get('sallyport_exchanges_total')?.points ?? []).reduce((sum, { asDouble = 0 }) => sum + asDouble, 0);
    await collector.until(() => total() === 2);
    const { metrics } = collector;
    expect(metrics.get('sallyport_exchanges_total')).toMatchObject({ type: 'sum', monotonic: true });
    expect(metrics.get('chaperone_requests_total')?.points).toMatchObject([
      { attributes: { vendor_id: 'acme', status_class: '2xx', method: 'POST' }, asDouble: 1 },
    ]);
    expect(metrics.get('sallyport_credential_lookups_total')?.points).toContainEqual(
      expect.objectContaining({ attributes: { result: 'miss' }, asDouble: expect.any(Number) }),
    );
    const durations = metrics.get('sallyport_exchange_duration_seconds');
    expect(durations).toMatchObject({ type: 'histogram', unit: 's' });
    for (const { bucketCounts = [], explicitBounds = [], count } of durations?.points ?? []) {
      expect(bucketCounts).toHaveLength(explicitBounds.length + 1);
      expect(bucketCounts.reduce((sum, one) => sum + one, 0)).toBe(count);
    }
    expect(metrics.get('process_resident_memory_bytes')).toMatchObject({ type: 'gauge', unit: 'By' });
    const shown = await scene.gateway.metrics();
    const names = [...shown.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(names).toEqual(expect.arrayContaining([...metrics.keys()]));
    expect(collector.requests.every(({ path }) => path === '/v1/metrics')).toBe(true);
  });

  test('are exported a last time at the end', async () => {
    const collector = await startCollector();
    const scene = await plainScene(echo, `telemetry: { metrics: true, endpoint: "${collector.url}" }`);
    await viaForward(scene);
    await scene.gateway.gateway.stop();
    expect(collector.requests).toHaveLength(1);
    expect(collector.metrics.has('sallyport_exchanges_total')).toBe(true);
  });

  test('of Chaperone are shown while the sidecar listens', async () => {
    const scene = await plainScene(echo);
    await viaSidecar(scene);
    expect(await scene.gateway.metrics()).toContain('chaperone_requests_total{vendor_id="unknown",status_class="2xx",method="POST"} 1');
    await scene.gateway.reload('listeners: { forward: { port: 0 }, ops: { port: 0 } }');
    expect(await scene.gateway.metrics()).not.toContain('chaperone_');
  });
});

describe('waiting', () => {
  const plugin: Plugin = {
    routeRequest: () => null,
    getCredentials: async () => ({ headers: { 'X-Key': SECRET }, expiresAt: Date.now() + 60_000 }),
    modifyResponse: () => null,
  };

  test('for a plugin has spans, and numbers', async () => {
    const collector = await startCollector();
    const scene = await plainScene(echo, `telemetry: { tracing: true, endpoint: "${collector.url}" }`, {}, { plugin });
    await viaSidecar(scene, [PARENT]);
    const metrics = await scene.gateway.metrics();
    const spans = await exported({ gateway: scene.gateway, collector });
    const server = span(spans, 'server');
    const waits = spans.filter(({ kind }) => kind === KIND.internal);
    expect(waits.map(({ name }) => name)).toEqual(['plugin.RouteRequest', 'plugin.GetCredentials', 'plugin.ModifyResponse']);
    for (const wait of waits) expect(wait).toMatchObject({ traceId: TRACE, parentSpanId: server.spanId });
    for (const method of ['routeRequest', 'getCredentials', 'modifyResponse'])
      expect(metrics).toContain(`sallyport_plugin_duration_seconds_count{method="${method}",result="answered"} 1`);
    expect(metrics).toContain('chaperone_route_decisions_total{action="credentials",target=""} 1');
    expect(JSON.stringify(collector.requests)).not.toContain(SECRET);
  });

  test('for another credential after a 401 has a span between two attempts', async () => {
    let given = 0;
    const giving: Plugin = { getCredentials: () => ({ headers: { 'X-Key': `${SECRET}-${++given}` }, expiresAt: Date.now() + 60_000 }) };
    const collector = await startCollector();
    const telemetry = `telemetry: { tracing: true, endpoint: "${collector.url}" }`;
    const script: Script = (request, socket) => void socket.write(reply(request.lines.includes(`X-Key: ${SECRET}-1`) ? 401 : 200));
    const { gateway, origin } = await plainScene(script, telemetry, {}, { plugin: giving });
    const client = await rawClient(gateway.sidecar);
    const lines = ['Host: side.test', `X-Connect-Target-URL: ${origin}/a`, PARENT];
    expect((await client.request('GET /proxy HTTP/1.1', lines)).status).toBe(200);
    client.close();
    const spans = await exported({ gateway, collector });
    const steps = spans.filter(({ kind }) => kind !== KIND.server).sort((a, b) => Number(a.startTimeUnixNano) - Number(b.startTimeUnixNano));
    expect(steps.map(({ name, attributes }) => [name, attributes['http.response.status_code'], attributes['http.request.resend_count']])).toEqual([
      ['plugin.GetCredentials', undefined, undefined],
      ['GET api.test', 401, undefined],
      ['plugin.GetCredentials', undefined, undefined],
      ['GET api.test', 200, 1],
    ]);
  });
});
