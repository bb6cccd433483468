/**
 * One kind of work that every variant that can do it is given.
 * @typedef {object} Workload
 * @property {string} name as `--only` takes it
 * @property {string} title as the table shows it
 * @property {'throughput' | 'sessions' | 'rate' | 'idle' | 'start'} kind how it is measured
 * @property {'reverse' | 'intercept' | 'sidecar'} door the sidecar: a request names its upstream in a header, and says whose call it is
 * @property {'none' | 'fast' | 'slow' | 'worker' | null} plugin who gives the credential at the sidecar: nobody, a plugin whose answer is kept, one that
 *   changes every request, the first of these in a thread of its own; null at other doors
 * @property {boolean} frontTls whether the client speaks TLS to the reverse door
 * @property {boolean} upstreamTls
 * @property {string} path what is fetched from the upstream
 * @property {number} bodyBytes how long that is
 * @property {number} connections kept connections; for sessions: sessions in progress at once
 * @property {'wrk' | 'go'} load the load generator that suits it
 */

const kilobyte = { path: '/1k', bodyBytes: 1024 };
const megabyte = { path: '/1m', bodyBytes: 1_000_000 };
const hundredMegabytes = { path: '/100m', bodyBytes: 100_000_000 };

/** @type {Partial<Workload>} */
const sidecar = { door: 'sidecar', load: 'wrk' };

/** Requests per second of the latency workload: low enough that no variant is busy. */
export const fixedRate = 4000;

/** @type {(name: string, title: string, rest: Partial<Workload>) => Workload} */
const define = (name, title, rest) => ({
  name,
  title,
  kind: 'throughput',
  door: 'reverse',
  plugin: null,
  frontTls: false,
  upstreamTls: false,
  connections: 64,
  load: 'go',
  ...kilobyte,
  ...rest,
});

/** All workloads, in the order in which they run and are shown. wrk reads 8 KB at a time and so is used for small bodies only. */
export const workloads = [
  define('plain', 'reverse, plain', { load: 'wrk' }),
  define('tls-upstream', 'reverse, TLS upstream', { load: 'wrk', upstreamTls: true }),
  define('tls-both', 'reverse, TLS both sides', { load: 'wrk', frontTls: true, upstreamTls: true }),
  define('intercept', 'intercepted HTTPS, kept connections', { door: 'intercept', upstreamTls: true }),
  define('sessions', 'new CONNECT + TLS sessions', { kind: 'sessions', door: 'intercept', upstreamTls: true, connections: 16 }),
  define('body-1m', '1 MB bodies, plain', { ...megabyte, connections: 16 }),
  define('body-1m-tls', '1 MB bodies, TLS upstream', { ...megabyte, connections: 16, upstreamTls: true }),
  define('body-100m', '100 MB bodies, plain', { ...hundredMegabytes, connections: 4 }),
  define('body-100m-tls', '100 MB bodies, TLS upstream', { ...hundredMegabytes, connections: 4, upstreamTls: true }),
  define('latency', `latency at ${fixedRate} requests/s`, { kind: 'rate' }),
  define('idle-1k', 'memory, 1,000 idle connections', { kind: 'idle', connections: 1000 }),
  define('idle-10k', 'memory, 10,000 idle connections', { kind: 'idle', connections: 10_000 }),
  define('idle-1k-intercept', 'memory, 1,000 idle intercepted connections', {
    kind: 'idle',
    door: 'intercept',
    upstreamTls: true,
    connections: 1000,
  }),
  define('plugin-none', 'sidecar, no plugin', { ...sidecar, plugin: 'none', path: '/open' }),
  define('plugin-fast', 'sidecar, plugin, kept credential', { ...sidecar, plugin: 'fast' }),
  define('plugin-slow', 'sidecar, plugin that signs each request', { ...sidecar, plugin: 'slow' }),
  define('plugin-worker', 'sidecar, plugin in a worker, kept credential', { ...sidecar, plugin: 'worker' }),
  define('start', 'process start to first 200', { kind: 'start' }),
];
