import { readFileSync } from 'node:fs';
import path from 'node:path';
import { elapsed, indented, npm, root, run, tool } from './command.mjs';

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(path.join(root, file), 'utf8')).packages;
  } catch {
    return null;
  }
}

/**
 * Whether node_modules holds what the lockfile asks for. npm keeps a copy of the lockfile of what it installed, written as its last
 * step, so an interrupted install is seen too. Packages for other platforms are in the lockfile only; nobody may have added others.
 */
function isInstalled() {
  const wanted = readPackages('package-lock.json');
  const present = readPackages('node_modules/.package-lock.json');
  if (wanted === null || present === null) return false;
  const same = (name) => present[name]?.version === wanted[name].version && present[name]?.integrity === wanted[name].integrity;
  return (
    Object.keys(wanted).every((name) => name === '' || same(name) || (wanted[name].optional && present[name] === undefined)) &&
    Object.keys(present).every((name) => wanted[name] !== undefined)
  );
}

/** Installs the packages of the lockfile when they are not there yet, from npm's cache where it has them. True on success. */
export async function install() {
  if (isInstalled()) return true;
  console.log('Installing packages (npm ci) …');
  const started = performance.now();
  // The log level is named because `npm test --silent` hands its own down.
  const { ok, output } = await npm(['ci', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']);
  if (ok) console.log(`✓ packages installed (${elapsed(started)})`);
  else console.error(`✗ The packages could not be installed. The first install needs the npm registry; npm says:\n${indented(output)}`);
  return ok;
}

/**
 * Compiles what changed in the given projects and in those that they refer to.
 *
 * @param {string[]} projects directories with a tsconfig.json: `.` is all packages
 * @returns {Promise<{ ok: boolean, output: string, files: number }>} `files` is how many files had to be written
 */
export async function build(projects = ['.']) {
  const { ok, output } = await run(process.execPath, [tool('typescript', 'bin/tsc'), '--build', '--listEmittedFiles', ...projects]);
  const lines = output.split('\n');
  return {
    ok,
    output: lines.filter((line) => !line.startsWith('TSFILE:')).join('\n'),
    files: lines.filter((line) => /^TSFILE:.*\.js$/.test(line)).length,
  };
}

/** Installs what is missing and builds what changed, and says so. True on success. */
export async function prepare() {
  if (!(await install())) return false;
  console.log('Building what changed …');
  const started = performance.now();
  const { ok, output, files } = await build();
  if (ok) console.log(`✓ ${files === 0 ? 'nothing changed' : `${files} files built`} (${elapsed(started)})`);
  else console.error(`✗ The build failed:\n${indented(output)}`);
  return ok;
}
