import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { checks } from './checks.mjs';
import { elapsed, indented, root, run, tool } from './command.mjs';
import { describe, nothing, readReport, sum } from './counts.mjs';
import { installTestTools } from './install-test-tools.mjs';
import { findNode24 } from './node-24.mjs';
import { build, install } from './workspace.mjs';

/** Vitest colours its output on CI even where nobody can see colours. */
const testEnvironment = process.stdout.isTTY ? process.env : { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined };

async function runCheck({ name, repair, check }) {
  const started = performance.now();
  const { ok, output } = await check();
  console.log(`${ok ? '✓' : '✗'} ${name} (${elapsed(started)})`);
  if (!ok) {
    console.log(indented(output));
    if (repair !== undefined) console.log(`    \`${repair}\` repairs most of this.`);
  }
  return ok ? { ...nothing, passed: 1 } : { ...nothing, failed: 1 };
}

async function runTests(name, { node, filters }) {
  console.log(`\n${name}`);
  const started = performance.now();
  const reportFile = path.join(root, '.cache', `vitest-${process.pid}.json`);
  mkdirSync(path.dirname(reportFile), { recursive: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
  const { ok, output } = await run(node, [tool('vitest', 'vitest.mjs'), 'run', ...reporters, ...filters], { show: true, env: testEnvironment });
  if (!ok && output !== '') console.log(indented(output));
  const counts = readReport(reportFile, ok);
  rmSync(reportFile, { force: true });
  console.log(`${counts.failed === 0 ? '✓' : '✗'} ${name}: ${describe(counts)} (${elapsed(started)})`);
  return counts;
}

/** @param {{ node: string | null, reason: string | null }} found */
async function runOnNode24({ node, reason }) {
  const name = 'gateway on Node 24';
  if (node !== null) return runTests(name, { node, filters: ['packages/gateway/'] });
  console.log(`\n- ${name}: skipped, ${reason}`);
  return { ...nothing, skipped: 1 };
}

function readArguments(args) {
  try {
    const { values, positionals } = parseArgs({ args, options: { only: { type: 'string' } }, allowPositionals: true });
    if (![undefined, 'checks', 'tests'].includes(values.only)) console.error(`--only takes "checks" or "tests", not "${values.only}".`);
    else if (values.only === 'checks' && positionals.length > 0) console.error('A filter selects tests, and with --only checks none run.');
    else return { only: values.only, filters: positionals };
  } catch (error) {
    console.error(error.message);
  }
  console.error('Usage: npm test [-- [--only checks|tests] [FILTER…]], where FILTER is a part of the path of a test file.');
  return null;
}

/**
 * Runs every check, then every test, then the gateway's tests on Node 24. A failure stops nothing but is in the exit code; only
 * without packages there is nothing to run. With a filter only the matching tests run, on this Node.
 *
 * @param {string[]} args
 * @returns {Promise<number>} the exit code. The last line printed is `N passed, N failed`, with `, N skipped` when any were
 */
export async function test(args) {
  const options = readArguments(args);
  if (options === null) return 2;
  const { filters } = options;
  const withChecks = options.only !== 'tests' && filters.length === 0;
  const withTests = options.only !== 'checks';
  const counts = [];

  if (!(await install())) {
    counts.push({ ...nothing, failed: 1 });
  } else {
    if (process.env.CI && withTests) await installTestTools();
    // Before the first test: one of the real clients is Node 24's own fetch.
    const node24 = withTests && filters.length === 0 ? await findNode24() : null;
    if (withChecks) for (const check of checks) counts.push(await runCheck(check));
    else if (withTests) counts.push(await runCheck({ name: 'build', check: build }));
    if (withTests) counts.push(await runTests(`tests on Node ${process.versions.node}`, { node: process.execPath, filters }));
    if (node24 !== null) counts.push(await runOnNode24(node24));
    if (filters.length > 0) console.log('\nWith a filter the checks and Node 24 are left out; `npm test` alone runs everything.');
  }

  const total = sum(counts);
  console.log(`\n${describe(total)}`);
  return total.failed === 0 ? 0 : 1;
}
