import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchDir } from './environment.mjs';
import { added, medianOf, ratio } from './statistics.mjs';

/** @typedef {import('./measure.mjs').Measured} Measured */

/**
 * What the bench found about one variant in one workload; null where there is nothing to say.
 * @typedef {object} Summary
 * @property {Record<string, number | null>} median by quantity, in the units of a sample
 * @property {Record<string, Record<string, number | null>>} times by peer and quantity: above 1 is better than the peer
 * @property {{ p50: number | null, p99: number | null } | null} added microseconds over the direct connection
 */

/** @typedef {{ name: string, title: string, kind: string, variants: Record<string, Measured & Summary> }} WorkloadResults */

/** @typedef {{ upstream: string, pinned: boolean, loadAverage: number }} Circumstances `loadAverage` is that before the first measurement */

/**
 * The content of `results/latest.json`.
 * @typedef {object} Results
 * @property {string} date ISO 8601
 * @property {ReturnType<typeof import('./environment.mjs').describeMachine> & Circumstances} machine
 * @property {{ rounds: number, seconds: number }} options
 * @property {string[]} skipped what was not measured, and why
 * @property {WorkloadResults[]} workloads
 * @property {import('./lookups.mjs').LookupResults[]} [lookups] not there in results of before
 */

const quantities = /** @type {const} */ (['cpu', 'rate', 'busy', 'p50', 'p99', 'memory', 'memoryBefore', 'start']);
const peers = ['go', 'nginx'];

/**
 * Adds medians and ratios to the samples of one workload.
 * @param {import('./workloads.mjs').Workload} workload
 * @param {Map<string, Measured>} measured
 * @returns {WorkloadResults}
 */
export function summarize({ name, title, kind }, measured) {
  const direct = measured.get('direct')?.samples ?? [];
  const entries = [...measured].map(([variant, { samples, failures }]) => {
    const times = peers.map((peer) => {
      const theirs = measured.get(peer)?.samples ?? [];
      return [peer, Object.fromEntries(quantities.map((quantity) => [quantity, ratio(samples, theirs, quantity)]))];
    });
    const summary = {
      median: Object.fromEntries(quantities.map((quantity) => [quantity, medianOf(samples, quantity)])),
      times: Object.fromEntries(times),
      added: kind === 'rate' ? { p50: added(samples, direct, 'p50'), p99: added(samples, direct, 'p99') } : null,
      samples,
      failures,
    };
    return [variant, summary];
  });
  return { name, title, kind, variants: Object.fromEntries(entries) };
}

const latest = join(benchDir, 'results', 'latest.json');

/** Keeps the results for `--report` and for programs. @param {Results} results @returns {string} the file */
export function saveResults(results) {
  mkdirSync(join(benchDir, 'results'), { recursive: true });
  writeFileSync(latest, `${JSON.stringify(results, null, 2)}\n`);
  return latest;
}

/** Reads what the last run kept. @returns {Results} @throws {Error} when there was none */
export function loadResults() {
  try {
    return JSON.parse(readFileSync(latest, 'utf8'));
  } catch {
    throw new Error(`There are no results of a run in ${latest}. Measure first: npm run bench`);
  }
}
