import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as OTLP/JSON has it, with its attributes as an object. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  /** 0 unset, 2 error. */
  readonly status: { readonly code: number };
  readonly flags: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

interface Point {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly asDouble?: number;
  readonly bucketCounts?: readonly number[];
  readonly explicitBounds?: readonly number[];
  readonly sum?: number;
  readonly count?: number;
}

interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly type: 'sum' | 'gauge' | 'histogram';
  readonly monotonic: boolean;
  readonly points: readonly Point[];
}

/** A collector that understands OTLP over HTTP in JSON, and remembers what it got. */
export interface Collector {
  readonly url: string;
  /** Of every request that came, in order. */
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: string }[];
  readonly spans: readonly ReceivedSpan[];
  readonly resources: readonly Readonly<Record<string, unknown>>[];
  /** Those of the last export, by name. */
  readonly metrics: ReadonlyMap<string, ReceivedMetric>;
  /** What it answers. */
  status: number;
  /** Resolves once `done` holds; asked after every request. */
  until(done: () => boolean): Promise<void>;
  stop(): Promise<void>;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

type RawSpan = Omit<ReceivedSpan, 'attributes'> & { readonly attributes: readonly Attribute[] };
type RawPoint = Omit<Point, 'attributes'> & { readonly attributes: readonly Attribute[] };
interface RawMetric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { readonly isMonotonic: boolean; readonly dataPoints: readonly RawPoint[] };
  readonly gauge?: { readonly dataPoints: readonly RawPoint[] };
  readonly histogram?: { readonly dataPoints: readonly RawPoint[] };
}
interface Envelope<Scope> {
  readonly resource: { readonly attributes: readonly Attribute[] };
  readonly scopeSpans?: readonly Scope[];
  readonly scopeMetrics?: readonly Scope[];
}

const running = new Set<Collector>();

/** Stops every collector that is still running. */
export async function stopCollectors(): Promise<void> {
  await Promise.all([...running].map((collector) => collector.stop()));
}

export async function startCollector(): Promise<Collector> {
  const requests: Collector['requests'] = [];
  const spans: ReceivedSpan[] = [];
  const resources: Record<string, unknown>[] = [];
  const metrics = new Map<string, ReceivedMetric>();
  let woken: (() => void)[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString();
      requests.push({ path: request.url ?? '', headers: request.headers, body });
      if (collector.status === 200) take(body);
      response.writeHead(collector.status, { 'Content-Type': 'application/json' }).end('{}');
      const waiting = woken;
      woken = [];
      for (const wake of waiting) wake();
    });
  });
  const take = (body: string): void => {
    const { resourceSpans = [], resourceMetrics = [] } = JSON.parse(body) as {
      resourceSpans?: Envelope<{ spans: readonly RawSpan[] }>[];
      resourceMetrics?: Envelope<{ metrics: readonly RawMetric[] }>[];
    };
    for (const { resource, scopeSpans = [] } of resourceSpans) {
      resources.push(plain(resource.attributes));
      for (const scope of scopeSpans) spans.push(...scope.spans.map((span) => ({ ...span, attributes: plain(span.attributes) })));
    }
    for (const { resource, scopeMetrics = [] } of resourceMetrics) {
      resources.push(plain(resource.attributes));
      metrics.clear();
      for (const scope of scopeMetrics) for (const metric of scope.metrics) metrics.set(metric.name, received(metric));
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const collector: Collector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    spans,
    resources,
    metrics,
    status: 200,
    async until(done) {
      while (!done()) await new Promise<void>((resolve) => woken.push(resolve));
    },
    async stop() {
      if (!running.delete(collector)) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  running.add(collector);
  return collector;
}

function received({ name, unit, sum, gauge, histogram }: RawMetric): ReceivedMetric {
  const points = (sum ?? gauge ?? histogram)?.dataPoints ?? [];
  return {
    name,
    unit,
    type: sum !== undefined ? 'sum' : gauge !== undefined ? 'gauge' : 'histogram',
    monotonic: sum?.isMonotonic ?? false,
    points: points.map((point) => ({ ...point, attributes: plain(point.attributes) })),
  };
}

function plain(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
