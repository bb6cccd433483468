import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { benchDir } from './environment.mjs';
import { cpuMicros, start, stop } from './processes.mjs';
import { fixedRate } from './workloads.mjs';

/**
 * What one run of a load generator found.
 * @typedef {object} LoadResult
 * @property {number} requests finished with status 200 (bodies of 1 MB and more: bytes received, in bodies)
 * @property {number} errors
 * @property {string} problem what the errors were, for people
 * @property {number} seconds
 * @property {number} p50 microseconds
 * @property {number} p99 microseconds
 * @property {number | null} cpu CPU time of the server meanwhile, in microseconds
 */

/**
 * Whether this workload can be loaded on this machine.
 * @param {import('./upstream.mjs').Context} context
 * @param {import('./workloads.mjs').Workload} workload
 */
export function canLoad(context, workload) {
  return (
    context.goPrograms !== null ||
    workload.kind === 'start' ||
    (workload.kind === 'throughput' && workload.door === 'reverse' && context.tools.wrk !== null)
  );
}

/**
 * Loads a variant for some seconds. With the Go generator the CPU time is read around the work alone; wrk opens
 * its connections inside the measurement, which is a matter of 64 handshakes.
 * @param {import('./upstream.mjs').Context} context
 * @param {import('./workloads.mjs').Workload} workload
 * @param {import('./variants/variant.mjs').Running} target
 * @param {number} seconds
 * @returns {Promise<LoadResult>}
 */
export async function load(context, workload, target, seconds) {
  const { wrk } = context.tools;
  if (wrk !== null && (workload.load === 'wrk' || context.goPrograms === null)) return loadWithWrk(context, wrk, workload, target, seconds);
  const held = await holdGoLoad(context, workload, target, seconds);
  return held.finish();
}

/**
 * @param {import('./upstream.mjs').Context} context
 * @param {string} wrk
 * @param {import('./workloads.mjs').Workload} workload
 * @param {import('./variants/variant.mjs').Running} target
 * @param {number} seconds
 * @returns {Promise<LoadResult>}
 */
async function loadWithWrk(context, wrk, workload, { server, access }, seconds) {
  const headers = Object.entries(access.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const script = join(benchDir, 'peers', 'wrk-report.lua');
  const command = [wrk, '-t1', `-c${workload.connections}`, `-d${seconds}s`, '--timeout', '30s', ...headers, '-s', script, access.url];
  const before = server === null ? null : cpuMicros(server);
  const running = start('wrk', command, { cores: context.cores.load, stdio: 'pipe' });
  let text = '';
  running.child.stdout?.setEncoding('utf8').on('data', (more) => {
    text += more;
  });
  await once(running.child, 'close');
  const cpu = server === null || before === null ? null : cpuMicros(server) - before;
  const line = /^RESULT (.*)$/m.exec(text)?.[1];
  if (line === undefined) throw new Error(`wrk gave no result: ${running.errors() || text}`);
  const found = JSON.parse(line);
  const problem = [found.failed > 0 ? `${found.failed} socket errors` : '', found.status > 0 ? `${found.status} error statuses` : '']
    .filter(Boolean)
    .join(', ');
  return {
    requests: countRequests(workload, found.requests - found.status, found.bytes),
    errors: found.failed + found.status,
    problem,
    seconds: found.micros / 1e6,
    p50: found.p50,
    p99: found.p99,
    cpu,
  };
}

/** @param {import('./workloads.mjs').Workload} workload @param {number} requests @param {number} bytes */
function countRequests(workload, requests, bytes) {
  return workload.bodyBytes >= 1_000_000 ? bytes / workload.bodyBytes : requests;
}

/**
 * Starts the Go load generator and returns when its connections stand. `finish` lets it do its work and ends it.
 * @param {import('./upstream.mjs').Context} context
 * @param {import('./workloads.mjs').Workload} workload
 * @param {import('./variants/variant.mjs').Running} target
 * @param {number} seconds
 * @returns {Promise<{ finish: () => Promise<LoadResult> }>}
 */
export async function holdGoLoad(context, workload, { server, access }, seconds) {
  const mode = workload.kind === 'throughput' ? 'closed' : workload.kind;
  const caFile = access.caFile();
  const buffer = workload.kind === 'idle' ? 2048 : workload.bodyBytes >= 1_000_000 ? 256 * 1024 : 16 * 1024;
  const command = [
    join(context.goPrograms ?? '', 'load'),
    ...['-mode', mode, '-url', access.url, '-connections', `${workload.connections}`, '-seconds', `${seconds}`],
    ...['-rate', `${fixedRate}`, '-buffer', `${buffer}`],
    ...(access.connect === null ? [] : ['-connect', `${access.connect.host}:${access.connect.port}`]),
    ...(caFile === null ? [] : ['-ca', caFile]),
    ...Object.entries(access.headers).flatMap(([name, value]) => ['-header', `${name}: ${value}`]),
  ];
  const running = start('load', command, { cores: context.cores.load, stdio: 'pipe', env: { GOMAXPROCS: '1', BENCH_TOKEN: access.token } });
  const { stdin, stdout } = running.child;
  if (stdin === null || stdout === null) throw new Error('the load generator has no pipes');
  stdin.on('error', () => {});
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const nextLine = async () => {
    const { value, done } = await lines.next();
    if (!done) return JSON.parse(value);
    await stop(running);
    throw new Error(`the load generator ended: ${running.errors()}`);
  };

  await nextLine();
  return {
    finish: async () => {
      const before = server === null ? null : cpuMicros(server);
      stdin.write('\n');
      const found = await nextLine();
      const cpu = server === null || before === null ? null : cpuMicros(server) - before;
      stdin.end();
      await stop(running);
      return {
        requests: countRequests(workload, found.requests, found.bytes),
        errors: found.errors,
        problem: found.problem ?? '',
        seconds: found.micros / 1e6,
        p50: found.p50,
        p99: found.p99,
        cpu,
      };
    },
  };
}
