import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ServedRequest } from '../server/service-app.js';
import type { SessionCount } from '../sessions/session-counts.js';
import type { TaskHealth } from '../tasks/runner.js';
import type { TaskCount } from '../tasks/task-counts.js';
import { controlMetricDefinitions, durationBuckets } from './metric-definitions.js';

/** What a scrape is answered with. */
interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/** Who knows the values that are asked for at every scrape. None of them may wait for anything. */
export interface MetricSources {
  readonly busListening: () => boolean;
  readonly rateLimitsDegraded: () => boolean;
  /** Null in a process that runs no tasks. */
  readonly runner: (() => TaskHealth) | null;
  /** Undefined while they are not known. */
  readonly counts: () => { readonly tasks: readonly TaskCount[]; readonly sessions: readonly SessionCount[] } | undefined;
}

/** The metrics of one process of the control plane. */
export interface ControlMetrics {
  /** Counts a request that has come to an end. */
  readonly served: (request: ServedRequest) => void;
  /** Counts a request that a rule has refused. */
  readonly refused: (rule: string) => void;
  /** Counts a credential that did not hold. */
  readonly failedAuthentication: () => void;
  /** Counts an attempt of a task that failed. */
  readonly taskFailed: (name: string) => void;
  /** Everything in Prometheus' text format 0.0.4, with the metrics of the Node process from the first time on. Waits for nothing outside the process. */
  readonly render: () => Promise<Exposition>;
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE']);

/** Makes the metrics, all at zero. */
export function createControlMetrics({ version, sources }: { readonly version: string; readonly sources: MetricSources }): ControlMetrics {
  const registry = new Registry();
  const requests = new Counter(described('sallyport_control_http_requests_total', registry));
  const durations = new Histogram({ ...described('sallyport_control_http_request_duration_seconds', registry), buckets: [...durationBuckets] });
  const refusals = new Counter(described('sallyport_control_rate_limit_refusals_total', registry));
  const failures = new Counter(described('sallyport_control_failed_authentications_total', registry));
  const taskFailures = new Counter(described('sallyport_control_task_failures_total', registry));
  new Gauge(described('sallyport_control_build_info', registry)).set({ version, node: process.versions.node }, 1);
  const gauges = {
    bus: new Gauge(described('sallyport_control_bus_listening', registry)),
    degraded: new Gauge(described('sallyport_control_rate_limits_degraded', registry)),
    running: new Gauge(described('sallyport_control_tasks_running', registry)),
    polling: new Gauge(described('sallyport_control_task_runner_polling', registry)),
    tasks: new Gauge(described('sallyport_control_tasks', registry)),
    sessions: new Gauge(described('sallyport_control_sessions', registry)),
  };
  let withProcess = false;

  function ask(): void {
    gauges.bus.set(sources.busListening() ? 1 : 0);
    gauges.degraded.set(sources.rateLimitsDegraded() ? 1 : 0);
    const health = sources.runner?.();
    if (health === undefined) for (const gauge of [gauges.running, gauges.polling]) gauge.remove();
    else {
      gauges.running.set(health.running);
      gauges.polling.set(health.polling ? 1 : 0);
    }
    gauges.tasks.reset();
    gauges.sessions.reset();
    const counts = sources.counts();
    for (const { name, state, count } of counts?.tasks ?? []) gauges.tasks.set({ name, state }, count);
    for (const { service, count } of counts?.sessions ?? []) gauges.sessions.set({ service }, count);
  }

  return {
    served({ service, route, method, status, milliseconds }) {
      const labels = { service, route: route ?? 'other', method: METHODS.has(method) ? method : 'other' };
      requests.inc({ ...labels, status: String(status) });
      durations.observe(labels, milliseconds / 1_000);
    },
    refused: (rule) => refusals.inc({ rule }),
    failedAuthentication: () => failures.inc(),
    taskFailed: (name) => taskFailures.inc({ name }),
    async render() {
      // They watch the process from then on, which a process that nobody scrapes need not do.
      if (!withProcess) collectDefaultMetrics({ register: registry });
      withProcess = true;
      ask();
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

function described(name: keyof typeof controlMetricDefinitions, registry: Registry) {
  const { help, labels } = controlMetricDefinitions[name];
  return { name, help, labelNames: Object.keys(labels), registers: [registry] };
}
