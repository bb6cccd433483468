import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchDir } from './environment.mjs';
import { goals, judge } from './goals.mjs';
import { growth } from './lookups.mjs';
import { variants } from './variants/all.mjs';

/** @typedef {import('./results.mjs').Results} Results */
/** @typedef {import('./results.mjs').WorkloadResults} WorkloadResults */

/**
 * The results as Markdown, which reads well in a terminal too.
 * @param {Results} results
 */
export function render(results) {
  const sections = [
    machineLine(results),
    ratioTable(results),
    figuresTable(results),
    latencyTable(results),
    memoryTable(results),
    lookupTable(results),
    goalsTable(results),
    notes(results),
  ];
  return sections.filter((section) => section !== '').join('\n\n');
}

/** @param {Results} results */
function machineLine({ date, machine, options }) {
  const versions = [
    ['Node', machine.node],
    ['Go', machine.go],
    ['nginx', machine.nginx],
    ['haproxy', machine.haproxy],
    ['wrk', machine.wrk],
  ].flatMap(([name, version]) => (version === null ? [] : `${name} ${version}`));
  const pinning = machine.pinned ? 'the proxy on core 0, the rest on the others' : 'nothing pinned to cores';
  const cores = `${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}`;
  const busy = machine.loadAverage > 0.5 ? ` Other programs were running (load average ${machine.loadAverage}): these figures are noisy.` : '';
  const method = `Medians of ${options.rounds} × ${options.seconds} s, interleaved; ${pinning}; upstream: ${machine.upstream}.${busy}`;
  return `${date.slice(0, 10)}: ${machine.cpu}, ${cores}, Linux ${machine.kernel}; ${versions.join(', ')}.\n${method}`;
}

/** @param {Results} results */
function ratioTable({ workloads }) {
  const shown = workloads.filter(isWork);
  const columns = columnsOf(shown).filter(({ name }) => name !== 'direct');
  if (!columns.some(({ name }) => name === 'go')) return '';
  const withNginx = columns.some(({ name }) => name === 'nginx') && columns.some(({ name }) => name === 'sallyport');
  const head = ['work per CPU second, × Go', ...columns.map(({ title }) => title), ...(withNginx ? ['Sallyport × nginx'] : [])];
  const rows = shown.map((workload) => [
    workload.title,
    ...columns.map(({ name }) => times(workload.variants[name]?.times.go?.cpu)),
    ...(withNginx ? [times(workload.variants.sallyport?.times.nginx?.cpu)] : []),
  ]);
  return table(head, rows);
}

/** @param {Results} results */
function figuresTable({ workloads }) {
  const shown = workloads.filter(isWork);
  const head = ['workload', 'through', 'CPU µs per request', 'requests/s', 'core busy', 'CPU × Go', 'rate × Go', 'CPU × nginx', 'rate × nginx'];
  const rows = shown.flatMap((workload) =>
    columnsOf([workload]).map(({ name, title }) => {
      const { median, times: by } = workload.variants[name];
      return [
        workload.title,
        title,
        figure(median.cpu),
        figure(median.rate),
        percent(median.busy),
        ...['go', 'nginx'].flatMap((peer) => [times(by[peer]?.cpu), times(by[peer]?.rate)]),
      ];
    }),
  );
  return rows.length === 0 ? '' : table(head, rows);
}

/** @param {Results} results */
function latencyTable({ workloads }) {
  const workload = workloads.find(({ kind }) => kind === 'rate');
  if (workload === undefined) return '';
  const head = [`${workload.title}, ms`, 'p50', 'p99', 'added p50', 'added p99', 'CPU µs per request'];
  const rows = columnsOf([workload]).map(({ name, title }) => {
    const { median, added } = workload.variants[name];
    const isBase = name === 'direct';
    return [
      title,
      milliseconds(median.p50),
      milliseconds(median.p99),
      isBase ? '–' : milliseconds(added?.p50),
      isBase ? '–' : milliseconds(added?.p99),
      figure(median.cpu),
    ];
  });
  return table(head, rows);
}

/** @param {Results} results */
function memoryTable({ workloads }) {
  const idle = workloads.filter(({ kind }) => kind === 'idle');
  const start = workloads.filter(({ kind }) => kind === 'start');
  const shown = [...idle, ...start];
  if (shown.length === 0) return '';
  const fresh = idle[0];
  const head = ['resident MB, start in ms', ...(fresh === undefined ? [] : ['memory, fresh']), ...shown.map(({ title }) => title)];
  const rows = columnsOf(shown).map(({ name, title }) => [
    title,
    ...(fresh === undefined ? [] : [megabytes(fresh.variants[name]?.median.memoryBefore)]),
    ...idle.map((workload) => megabytes(workload.variants[name]?.median.memory)),
    ...start.map((workload) => number(workload.variants[name]?.median.start, 0)),
  ]);
  return table(head, rows);
}

/** @param {Results} results */
function lookupTable({ lookups = [] }) {
  const [first] = lookups;
  if (first === undefined) return '';
  const sizes = Object.keys(first.nanoseconds);
  const head = ['one decision, ns of CPU, among', ...sizes.map((size) => `${number(Number(size), 0)} entries`), 'most / fewest'];
  return table(
    head,
    lookups.map((one) => [one.title, ...sizes.map((size) => number(one.nanoseconds[size], 0)), times(growth(one))]),
  );
}

/** @param {Results} results */
function goalsTable(results) {
  const judged = goals.map((goal) => ({ goal, ...judge(goal, results) }));
  if (judged.every(({ met }) => met === null)) return '';
  const verdict = { true: 'met', false: '**missed**', null: 'not measured' };
  const rows = judged.map(({ goal, measured, met }) => [goal.text, measured, verdict[/** @type {'true' | 'false' | 'null'} */ (String(met))]]);
  return table(['goal, everything on, by CPU', 'measured', ''], rows);
}

/** @param {Results} results */
function notes({ skipped, workloads }) {
  const failures = workloads.flatMap(({ title, variants: found }) =>
    Object.entries(found).flatMap(([name, { failures: problems }]) =>
      problems.map((problem) => `Failed: ${title}, ${name}: ${problem.split('\n')[0]}`),
    ),
  );
  return [...skipped.map((line) => `Skipped: ${line}`), ...failures].map((line) => `- ${line}`).join('\n');
}

/** @param {WorkloadResults} workload */
function isWork({ kind }) {
  return kind === 'throughput' || kind === 'sessions';
}

/** The variants that have a figure in any of the workloads. @param {WorkloadResults[]} workloads */
function columnsOf(workloads) {
  return variants.filter(({ name }) => workloads.some((workload) => workload.variants[name]?.samples.some((sample) => sample !== null)));
}

/** A figure with thousands apart; a dash where there is none. @param {number | null | undefined} value @param {number} digits */
export function number(value, digits) {
  if (value === null || value === undefined) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A quantity of any size, with a decimal where it is small. @param {number | null | undefined} value */
const figure = (value) => number(value, (value ?? 0) < 100 ? 1 : 0);

/** @param {number | null | undefined} share */
const percent = (share) => (share === null || share === undefined ? '–' : `${Math.round(share * 100)} %`);

/** A ratio. @param {number | null | undefined} value */
export const times = (value) => number(value, 2);

/** @param {number | null | undefined} micros */
const milliseconds = (micros) => number(micros === null || micros === undefined ? null : micros / 1000, 2);

/** @param {number | null | undefined} bytes */
const megabytes = (bytes) => number(bytes === null || bytes === undefined ? null : bytes / 1024 / 1024, 0);

/**
 * A Markdown table with its columns padded; columns of figures are aligned right.
 * @param {string[]} head
 * @param {string[][]} rows
 */
export function table(head, rows) {
  const isFigure = head.map((_, column) => rows.every((row) => /^[-–\d]/.test(row[column] ?? '') && column > 0));
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => (row[column] ?? '').length)));
  /** @param {string[]} cells */
  const line = (cells) =>
    `| ${cells.map((cell, column) => (isFigure[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => `${'-'.repeat(width + 1)}${isFigure[column] ? ':' : '-'}`).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

const readme = join(benchDir, 'README.md');

/** Puts the tables between the two marks in README.md. @param {string} markdown @throws {Error} when the marks are gone */
export function writeReadme(markdown) {
  return writeSection('results', markdown);
}

/** The same between the marks of another name. @param {string} name @param {string} markdown @returns {string} the file */
export function writeSection(name, markdown) {
  const [opening, closing] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const text = readFileSync(readme, 'utf8');
  const from = text.indexOf(opening);
  const to = text.indexOf(closing);
  if (from < 0 || to < from) throw new Error(`${readme} lacks the lines ${opening} and ${closing} between which the tables go.`);
  writeFileSync(readme, `${text.slice(0, from + opening.length)}\n\n${markdown}\n\n${text.slice(to)}`);
  return readme;
}
