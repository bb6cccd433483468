import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchDir } from '../environment.mjs';
import { growth } from '../lookups.mjs';
import { number, table, times } from '../report.mjs';

/** Nanoseconds for one call, ours and the peer's. @typedef {{ title: string, nanoseconds: number, peer: number }} Compared */
/** @typedef {{ title: string, nanoseconds: Record<string, number> }} Sized nanoseconds for one call, by the number of rows or entries */

/**
 * The content of `results/control.json`. A part that was not measured is not there.
 * @typedef {object} ControlResults
 * @property {string} date ISO 8601
 * @property {ReturnType<typeof import('../environment.mjs').describeMachine> & { pinned: boolean, loadAverage: number }} machine
 * @property {{ rounds: number, seconds: number }} options
 * @property {string[]} skipped what was not measured, and why
 * @property {import('./requests-load.mjs').RequestResults[]} [requests]
 * @property {Compared[]} [tokens]
 * @property {Compared[]} [encryption]
 * @property {Sized[]} [permissions]
 * @property {Partial<Record<import('./options.mjs').Provider, Sized[]>>} [lists]
 */

const databaseNames = { sqlite: 'SQLite', postgres: 'Postgres' };

/** A decision among as many entries as there may be; an actor has 256 at most. @param {Sized} one */
const isWhole = ({ nanoseconds }) => 100_000 in nanoseconds;

/** The results as Markdown. @param {ControlResults} results */
export function render(results) {
  const { requests = [], tokens = [], encryption = [], permissions = [], lists = {}, skipped } = results;
  const sections = [
    machineLine(results),
    requestTable(requests),
    comparedTable('verifying a token', 'jose', tokens),
    comparedTable('through the keyring', 'node:crypto', encryption),
    sizedTable('one decision, ns of CPU, among', 'entries', 1, permissions.filter(isWhole)),
    sizedTable(
      'for one actor, ns of CPU, among',
      'entries',
      1,
      permissions.filter((one) => !isWhole(one)),
    ),
    ...Object.entries(lists).map(([provider, pages]) =>
      sizedTable(`100 rows of a list on ${databaseNames[/** @type {keyof typeof databaseNames} */ (provider)]}, µs, among`, 'rows', 1000, pages),
    ),
    [...skipped.map((line) => `Skipped: ${line}`), ...failures(requests)].map((line) => `- ${line}`).join('\n'),
  ];
  return sections.filter((section) => section !== '').join('\n\n');
}

/** @param {ControlResults} results */
function machineLine({ date, machine, options }) {
  const busy = machine.loadAverage > 0.5 ? ` Other programs were running (load average ${machine.loadAverage}): these figures are noisy.` : '';
  const pinning = machine.pinned ? 'the server on core 0, load and Postgres on the others' : 'nothing pinned to cores';
  const line = `${date.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}; Node ${machine.node}.`;
  return `${line}\nRequests: medians of ${options.rounds} × ${options.seconds} s, interleaved; ${pinning}.${busy}`;
}

/** @param {import('./requests-load.mjs').RequestResults[]} requests */
function requestTable(requests) {
  const head = [
    'request',
    'server',
    'CPU µs per request',
    'requests/s',
    'core busy',
    'statements',
    'CPU × Fastify',
    'CPU × Fastify + jose',
    'rate × Fastify + jose',
  ];
  const rows = requests.flatMap(({ title, servers }) =>
    Object.values(servers).map(({ title: server, median, times: by, statements }) => [
      title,
      server,
      number(median.cpu, 0),
      number(median.rate, 0),
      median.busy === null ? '–' : `${Math.round(median.busy * 100)} %`,
      number(statements, 0),
      times(by.fastify?.cpu),
      times(by['fastify-jose']?.cpu),
      times(by['fastify-jose']?.rate),
    ]),
  );
  return rows.length === 0 ? '' : table(head, rows);
}

/** @param {string} what @param {string} peer @param {Compared[]} compared */
function comparedTable(what, peer, compared) {
  if (compared.length === 0) return '';
  const rows = compared.map(({ title, nanoseconds, peer: theirs }) => [
    title,
    number(1e9 / nanoseconds, 0),
    number(1e9 / theirs, 0),
    times(theirs / nanoseconds),
  ]);
  return table([what, 'per CPU second', `${peer}, per CPU second`, `× ${peer}`], rows);
}

/** @param {string} what @param {string} unit @param {number} divisor of the nanoseconds @param {Sized[]} sized */
function sizedTable(what, unit, divisor, sized) {
  const sizes = [...new Set(sized.flatMap(({ nanoseconds }) => Object.keys(nanoseconds)))].sort((a, b) => Number(a) - Number(b));
  if (sizes.length === 0) return '';
  const head = [what, ...sizes.map((size) => `${number(Number(size), 0)} ${unit}`), 'most / fewest'];
  const rows = sized.map((one) => [
    one.title,
    ...sizes.map((size) => number(one.nanoseconds[size] === undefined ? null : one.nanoseconds[size] / divisor, 0)),
    times(growth(one)),
  ]);
  return table(head, rows);
}

/** @param {import('./requests-load.mjs').RequestResults[]} requests */
function failures(requests) {
  return requests.flatMap(({ title, servers }) =>
    Object.values(servers).flatMap(({ title: server, failures: problems }) =>
      problems.map((problem) => `Failed: ${title}, ${server}: ${problem.split('\n')[0]}`),
    ),
  );
}

const latest = join(benchDir, 'results', 'control.json');

/** Keeps the results for `--report` and for programs. @param {ControlResults} results @returns {string} the file */
export function saveControlResults(results) {
  mkdirSync(join(benchDir, 'results'), { recursive: true });
  writeFileSync(latest, `${JSON.stringify(results, null, 2)}\n`);
  return latest;
}

/** Reads what the last run kept. @returns {ControlResults} @throws {Error} when there was none */
export function loadControlResults() {
  try {
    return JSON.parse(readFileSync(latest, 'utf8'));
  } catch {
    throw new Error(`There are no results of a run in ${latest}. Measure first: npm run bench -- control`);
  }
}
