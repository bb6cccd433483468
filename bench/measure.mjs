import { existsSync, mkdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { holdGoLoad, load } from './load.mjs';
import { waitUntilRight } from './probe.mjs';
import { hasEnded, residentBytes, stop } from './processes.mjs';

/**
 * One measurement. Which fields are there depends on the workload's kind.
 * @typedef {object} Sample
 * @property {number} [cpu] CPU microseconds of the proxy per request
 * @property {number} [rate] requests (or sessions) per second
 * @property {number} [busy] share of the proxy's core that was used, 0 to 1 (more with threads on several cores)
 * @property {number} [p50] microseconds
 * @property {number} [p99] microseconds
 * @property {number} [memory] resident bytes with the connections open
 * @property {number} [memoryBefore] resident bytes after the first request
 * @property {number} [start] milliseconds
 */

/** @typedef {{ samples: (Sample | null)[], failures: string[] }} Measured one sample per round, null where it failed */

/**
 * @typedef {object} Subject
 * @property {import('./variants/variant.mjs').Variant} variant
 * @property {import('./variants/variant.mjs').Running | null} running
 * @property {Measured} measured
 */

/**
 * Measures one workload: A B C, A B C … so that what else happens on the machine hits all variants alike.
 * @param {import('./upstream.mjs').Context} context
 * @param {import('./workloads.mjs').Workload} workload
 * @param {import('./variants/variant.mjs').Variant[]} variants
 * @param {{ rounds: number, seconds: number }} options
 * @param {(text: string) => void} say progress
 * @returns {Promise<Map<string, Measured>>} by variant name
 */
export async function measure(context, workload, variants, options, say) {
  /** @type {Subject[]} */
  const subjects = variants.map((variant) => ({ variant, running: null, measured: { samples: [], failures: [] } }));
  /** @param {Subject} subject @param {() => Promise<Sample | null>} work */
  const attempt = async (subject, work) => {
    say(subject.variant.title);
    try {
      const sample = await work();
      if (sample !== null) subject.measured.samples.push(sample);
    } catch (error) {
      subject.measured.samples.push(null);
      subject.measured.failures.push(error instanceof Error ? error.message : String(error));
    }
  };

  if (workload.kind === 'start') {
    for (let round = 0; round < Math.max(3, options.rounds); round++) {
      for (const subject of subjects) await attempt(subject, () => measureStart(context, workload, subject.variant));
    }
  } else if (workload.kind === 'idle') {
    for (const subject of subjects) await attempt(subject, () => measureIdle(context, workload, subject.variant));
  } else {
    await measureRounds(context, workload, subjects, options, attempt);
  }
  return new Map(subjects.map(({ variant, measured }) => [variant.name, measured]));
}

/**
 * @param {import('./upstream.mjs').Context} context
 * @param {import('./workloads.mjs').Workload} workload
 * @param {Subject[]} subjects
 * @param {{ rounds: number, seconds: number }} options
 * @param {(subject: Subject, work: () => Promise<Sample | null>) => Promise<void>} attempt
 */
async function measureRounds(context, workload, subjects, options, attempt) {
  try {
    for (const subject of subjects) {
      await attempt(subject, async () => {
        subject.running = await startReady(context, workload, subject.variant);
        // Warm-up: connections, just-in-time compilers, certificates.
        await load(context, workload, subject.running, 1);
        return null;
      });
    }
    for (let round = 0; round < options.rounds; round++) {
      for (const subject of subjects) {
        const { running, measured } = subject;
        if (running === null || measured.failures.length > 0) continue;
        await attempt(subject, async () => toSample(await load(context, workload, running, options.seconds), running));
        // The measurement of one variant must not fill the memory that the next one needs.
        for (const log of running.logs) if (existsSync(log)) truncateSync(log);
      }
    }
  } finally {
    for (const { running } of subjects) if (running !== null) await stopVariant(running);
  }
}

/**
 * @param {import('./load.mjs').LoadResult} found
 * @param {import('./variants/variant.mjs').Running} running
 * @returns {Sample}
 * @throws {Error} when a request failed: a figure with failures in it compares nothing
 */
function toSample({ requests, errors, problem, seconds, p50, p99, cpu }, { server }) {
  if (errors > 0) throw new Error(`${errors} of ${Math.round(requests) + errors} requests failed: ${problem}`);
  if (requests === 0) throw new Error('no request was finished');
  if (server !== null && hasEnded(server)) throw new Error(`the process ended: ${server.errors()}`);
  return { rate: requests / seconds, p50, p99, ...(cpu === null ? {} : { cpu: cpu / requests, busy: cpu / 1e6 / seconds }) };
}

/**
 * @param {import('./upstream.mjs').Context} context
 * @param {import('./workloads.mjs').Workload} workload
 * @param {import('./variants/variant.mjs').Variant} variant
 * @returns {Promise<Sample>}
 */
async function measureIdle(context, workload, variant) {
  const running = await startReady(context, workload, variant);
  try {
    if (running.server === null) throw new Error('there is no process to weigh');
    const memoryBefore = residentBytes(running.server);
    const held = await holdGoLoad(context, workload, running, 0);
    await settle(500);
    const memory = residentBytes(running.server);
    toSample(await held.finish(), { ...running, server: null });
    return { memory, memoryBefore };
  } finally {
    await stopVariant(running);
  }
}

/**
 * @param {import('./upstream.mjs').Context} context
 * @param {import('./workloads.mjs').Workload} workload
 * @param {import('./variants/variant.mjs').Variant} variant
 * @returns {Promise<Sample>}
 */
async function measureStart(context, workload, variant) {
  const begin = process.hrtime.bigint();
  const running = await startReady(context, workload, variant);
  const start = Number(process.hrtime.bigint() - begin) / 1e6;
  await stopVariant(running);
  return { start };
}

let folders = 0;

/**
 * Starts a variant in a folder of its own and waits for its first right answer.
 * @param {import('./upstream.mjs').Context} context
 * @param {import('./workloads.mjs').Workload} workload
 * @param {import('./variants/variant.mjs').Variant} variant
 */
async function startReady(context, workload, variant) {
  folders += 1;
  const dir = join(context.dir, `${variant.name}-${folders}`);
  mkdirSync(dir);
  const running = await variant.start(context, workload, dir);
  try {
    await waitUntilRight(running.access, workload.bodyBytes, running.server);
  } catch (error) {
    await stopVariant(running);
    throw error;
  }
  return running;
}

/** @param {import('./variants/variant.mjs').Running} running */
async function stopVariant({ server, logs }) {
  if (server !== null) await stop(server);
  for (const log of logs) rmSync(log, { force: true });
}

/** @param {number} milliseconds */
function settle(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
