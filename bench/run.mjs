import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { makeCertificates } from './certificates.mjs';
import { runControl } from './control/control.mjs';
import { buildGo, chooseCores, describeMachine, findTools, makeRunDir, missingTools, openFileLimit, pinSelf } from './environment.mjs';
import { canLoad } from './load.mjs';
import { lookupsName, measureLookups } from './lookups.mjs';
import { measure } from './measure.mjs';
import { help, parseOptions } from './options.mjs';
import { killAll } from './processes.mjs';
import { render, writeReadme } from './report.mjs';
import { loadResults, saveResults, summarize } from './results.mjs';
import { startUpstream } from './upstream.mjs';
import { variants } from './variants/all.mjs';
import { workloads } from './workloads.mjs';

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

/** @param {string[]} args @returns {Promise<number>} the exit code: 1 when Sallyport or the harness failed */
async function main(args) {
  if (args[0] === 'control') return runControl(args.slice(1));
  const options = parseOptions(args);
  if (options === null) {
    process.stdout.write(help);
    return 0;
  }
  const results = options.report ? loadResults() : await runAll(options).finally(killAll);
  const markdown = render(results);
  console.log(`\n${markdown}\n`);
  if (!options.report) console.log(`Results: ${saveResults(results)}`);
  if (options.writeReadme) console.log(`Table written: ${writeReadme(markdown)}`);
  const failed = results.workloads.some((workload) => (workload.variants.sallyport?.failures.length ?? 0) > 0);
  return failed ? 1 : 0;
}

/** @param {import('./options.mjs').Options} options @returns {Promise<import('./results.mjs').Results>} */
async function runAll(options) {
  if (process.platform !== 'linux') throw new Error('The benchmark reads CPU time and memory from /proc and so runs on Linux only.');
  const loadAverage = Math.round((loadavg()[0] ?? 0) * 10) / 10;
  const dir = makeRunDir();
  // However this process ends, nothing that it started and no file outlives it.
  process.once('exit', () => {
    killAll();
    rmSync(dir, { recursive: true, force: true });
  });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.once(signal, () => process.exit(130));

  const tools = findTools();
  const skipped = missingTools(tools);
  const cores = chooseCores(tools);
  const goPrograms = tools.go === null ? null : buildGo(tools.go);
  pinSelf(tools, cores);
  const certificates = tools.openssl === null ? null : makeCertificates(tools.openssl, dir);
  const before = { dir, tools, cores, goPrograms, certificates, token: randomBytes(16).toString('hex'), secret: randomBytes(16).toString('hex') };
  const context = { ...before, upstream: await startUpstream(before) };

  const present = variants.filter(({ name, missing }) => {
    if (!options.variants.includes(name)) return false;
    const reason = missing(context);
    if (reason !== null && !skipped.some((line) => line.startsWith(reason))) skipped.push(reason);
    return reason === null;
  });
  for (const line of skipped) console.log(`Skipped: ${line}`);

  const found = [];
  for (const workload of workloads.filter(({ name }) => options.only.includes(name))) {
    const able = present.filter(({ can }) => can(workload));
    const reason = obstacle(context, workload, able.length);
    if (reason !== null) {
      skipped.push(`${workload.title}: ${reason}`);
      console.log(`Skipped: ${workload.title}: ${reason}`);
      continue;
    }
    const progress = startProgress(workload.title);
    found.push(summarize(workload, await measure(context, workload, able, options, progress.say)));
    progress.done();
  }
  const lookups = options.only.includes(lookupsName) ? await measureLookups(cores) : [];
  if (found.length === 0 && lookups.length === 0) throw new Error('Nothing could be measured; the lines above say why. The last results are kept.');
  return {
    date: new Date().toISOString(),
    machine: { ...describeMachine(tools), upstream: context.upstream.program, pinned: cores.proxy !== null, loadAverage },
    options: { rounds: options.rounds, seconds: options.seconds },
    skipped,
    workloads: found,
    lookups,
  };
}

/**
 * Why a workload cannot be run here; null when it can.
 * @param {import('./upstream.mjs').Context} context
 * @param {import('./workloads.mjs').Workload} workload
 * @param {number} able how many variants can do it
 */
function obstacle(context, workload, able) {
  if (able === 0) return 'none of the variants that are here can do it';
  if ((workload.frontTls || workload.upstreamTls) && context.certificates === null) return 'it needs openssl';
  if (!canLoad(context, workload)) return 'it needs the load generator in Go';
  const limit = openFileLimit();
  if (workload.kind === 'idle' && limit < workload.connections + 500)
    return `the limit of open files is ${limit} (raise it: ulimit -Hn ${workload.connections * 2})`;
  return null;
}

/** Says on one line which variant is being measured, and at the end how long all took. @param {string} title */
function startProgress(title) {
  const begin = Date.now();
  const isTerminal = process.stdout.isTTY;
  return {
    /** @param {string} text */
    say: (text) => {
      if (isTerminal) process.stdout.write(`\r\x1b[K${title}: ${text} …`);
    },
    done: () => console.log(`${isTerminal ? '\r\x1b[K' : ''}${title}: ${((Date.now() - begin) / 1000).toFixed(0)} s`),
  };
}
