/** What a metric is, as docs/control-plane-metrics.md shows it. Every label takes its values from a set that is known beforehand. */
export interface ControlMetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** What each label says, with its values. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Upper bounds of the duration histogram, in seconds. */
export const durationBuckets: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const service = '`public`, `api`, `admin-api` or `worker`';
const route = 'the path of an operation with the names of its parameters, or `other`';
const method = 'one of the nine standard methods in upper case, or `other`';

/** Every metric of the control plane. Those of the Node process (`process_…`, `nodejs_…`) come on top. */
export const controlMetricDefinitions = {
  sallyport_control_http_requests_total: {
    type: 'counter',
    help: 'Requests that came to an end.',
    labels: { service, route, method, status: 'the status of the answer; 499 when the client was gone before it had all of it' },
  },
  sallyport_control_http_request_duration_seconds: {
    type: 'histogram',
    help: 'From the head of a request to the end of its answer.',
    labels: { service, route, method },
  },
  sallyport_control_rate_limit_refusals_total: {
    type: 'counter',
    help: 'Requests that were refused because there were too many.',
    labels: { rule: '`actor`, `address` or `failed_authentication`, as in `control.rate_limits`' },
  },
  sallyport_control_failed_authentications_total: {
    type: 'counter',
    help: 'Requests with a token or a session that did not hold, and such that needed one and had none.',
    labels: {},
  },
  sallyport_control_bus_listening: {
    type: 'gauge',
    help: 'Whether everything that other processes publish arrives here: 1 or 0. While it is 0 nothing is answered from caches.',
    labels: {},
  },
  sallyport_control_rate_limits_degraded: {
    type: 'gauge',
    help: 'Whether this process counts requests for itself although the counts are to be shared: 1 or 0.',
    labels: {},
  },
  sallyport_control_tasks_running: { type: 'gauge', help: 'Tasks that this process works on. On workers.', labels: {} },
  sallyport_control_task_runner_polling: { type: 'gauge', help: 'Whether this process takes tasks: 1 or 0. On workers.', labels: {} },
  sallyport_control_task_failures_total: {
    type: 'counter',
    help: 'Attempts of tasks that failed in this process. On workers.',
    labels: { name: 'the name of a task' },
  },
  sallyport_control_tasks: {
    type: 'gauge',
    help: 'Tasks in the queue of the whole installation that are not finished, or dead; counted up to 100,000 and twice a minute at most. On workers.',
    labels: { name: 'the name of a task', state: '`pending`, `running`, `failed` (waits for its next attempt) or `dead`' },
  },
  sallyport_control_sessions: {
    type: 'gauge',
    help: 'Sessions of the whole installation that have not ended; counted up to 100,000 and twice a minute at most. On workers.',
    labels: { service: '`public` or `admin-api`' },
  },
  sallyport_control_build_info: {
    type: 'gauge',
    help: 'Always 1; the labels say what is running.',
    labels: { version: 'of Sallyport', node: 'of Node.js' },
  },
} as const satisfies Record<string, ControlMetricDefinition>;
