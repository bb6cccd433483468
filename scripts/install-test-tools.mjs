// What the tests with real clients and the benchmark can use, beyond Node: all of it optional. `npm test` calls this when CI is set;
// elsewhere `node scripts/install-test-tools.mjs` does it on request. A tool that is missing makes its tests skip, visibly.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, run } from './command.mjs';

/** Debian packages by the program that shows that they are there. */
const debianPackages = {
  curl: 'curl',
  wget: 'wget',
  git: 'git',
  chromium: 'chromium',
  certutil: 'libnss3-tools',
  nginx: 'nginx-light',
  haproxy: 'haproxy',
  'redis-server': 'redis-server',
  wrk: 'wrk',
};
const pythonPackages = ['requests', 'httpx', 'schemathesis'];
const pebbleVersion = 'v2.10.1';
const timeout = 5 * 60_000;

/** Not every PATH has the directories of the programs that a machine's administrator runs. */
const directories = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];

function isPresent(program) {
  return directories.some((directory) => existsSync(path.join(directory, program)));
}

function report(ok, name, output) {
  if (ok) console.log(`✓ installed for the tests: ${name}`);
  else console.log(`- not installed, tests that need it skip: ${name} (${output.trim().split('\n').at(-1)})`);
}

async function installDebianPackages() {
  const missing = Object.keys(debianPackages).filter((program) => !isPresent(program));
  if (missing.length === 0) return;
  const names = missing.map((program) => debianPackages[program]);
  if (!isPresent('apt-get') || process.getuid?.() !== 0) {
    report(false, names.join(', '), 'needs apt-get and root');
    return;
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  console.log(`Installing ${names.join(', ')} for the tests …`);
  await run('apt-get', ['update', '-qq'], { env, timeout });
  // One by one, so that a package that is not to be had does not take the others with it.
  for (const name of names) {
    const { ok, output } = await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name], { env, timeout });
    report(ok, name, output);
  }
}

async function installPythonPackages() {
  const python = path.join(root, '.cache', 'python', 'bin', 'python');
  const imports = ['-c', pythonPackages.map((name) => `import ${name}`).join('; ')];
  if ((await run(python, imports)).ok) return;
  const name = `Python ${pythonPackages.join(', ')}`;
  console.log(`Installing ${name} for the tests into .cache/python …`);
  const environment = await run('python3', ['-m', 'venv', path.join(root, '.cache', 'python')]);
  if (!environment.ok) {
    report(false, name, environment.output);
    return;
  }
  const { ok, output } = await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...pythonPackages], { timeout });
  report(ok, name, output);
}

/** The ACME server that Let's Encrypt tests with, and its DNS. */
async function installPebble() {
  const folder = path.join(root, '.cache', 'pebble');
  if (existsSync(path.join(folder, 'pebble')) && existsSync(path.join(folder, 'pebble-challtestsrv'))) return;
  if (!isPresent('go')) {
    report(false, 'pebble', 'needs Go');
    return;
  }
  console.log('Installing pebble for the tests into .cache/pebble …');
  const commands = ['pebble', 'pebble-challtestsrv'].map((name) => `github.com/letsencrypt/pebble/v2/cmd/${name}@${pebbleVersion}`);
  const { ok, output } = await run('go', ['install', ...commands], { env: { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' }, timeout });
  report(ok, 'pebble', output);
}

/** Installs what is missing and can be installed, says what could not be, and never fails. */
export async function installTestTools() {
  await installDebianPackages();
  await installPythonPackages();
  await installPebble();
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await installTestTools();
