import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The bench folder and the repository it lies in. */
export const benchDir = fileURLToPath(new URL('.', import.meta.url));
export const repositoryDir = fileURLToPath(new URL('..', import.meta.url));

/**
 * The programs that the benchmark uses; null where one is not installed.
 * @typedef {Record<'nginx' | 'haproxy' | 'wrk' | 'go' | 'taskset' | 'openssl', string | null>} Tools
 */

const howToGet = {
  nginx: 'apt-get install nginx-light',
  haproxy: 'apt-get install haproxy',
  wrk: 'apt-get install wrk',
  go: 'https://go.dev/dl/ (any version from 1.21)',
  taskset: 'apt-get install util-linux',
  openssl: 'apt-get install openssl',
};

/** Looks for every program in PATH and where packages put servers, which is not in every user's PATH. @returns {Tools} */
export function findTools() {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/usr/local/go/bin'];
  /** @param {string} name */
  const find = (name) => folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
  return {
    nginx: find('nginx'),
    haproxy: find('haproxy'),
    wrk: find('wrk'),
    go: find('go'),
    taskset: find('taskset'),
    openssl: find('openssl'),
  };
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * One sentence for each program that is missing: what is lost and how to get it.
 * @param {Tools} tools
 */
export function missingTools(tools) {
  const losses = {
    nginx: 'no nginx column, and the upstream is a slower one in Node',
    haproxy: 'no haproxy column',
    wrk: 'the Go load generator is used everywhere; it takes more of the load core',
    go: 'no Go column, and none of: intercepted HTTPS, sessions, latency, idle memory',
    taskset: 'processes are not pinned to cores; the figures are far noisier',
    openssl: 'no certificates, so no TLS workload',
  };
  return /** @type {(keyof Tools)[]} */ (Object.keys(losses))
    .filter((name) => tools[name] === null)
    .map((name) => `${name} is not installed: ${losses[name]}. Get it: ${howToGet[name]}`);
}

/**
 * Which cores the proxy and everything else run on, as `taskset -c` takes them; null where nothing can be pinned.
 * @param {Tools} tools
 * @returns {{ proxy: string | null, load: string | null }}
 */
export function chooseCores(tools) {
  const count = availableParallelism();
  if (tools.taskset === null || count < 2) return { proxy: null, load: null };
  return { proxy: '0', load: count === 2 ? '1' : `1-${count - 1}` };
}

/**
 * Moves this process off the proxy's core.
 * @param {Tools} tools
 * @param {{ load: string | null }} cores
 */
export function pinSelf(tools, cores) {
  if (tools.taskset !== null && cores.load !== null)
    execFileSync(tools.taskset, ['-a', '-c', '-p', cores.load, String(process.pid)], { stdio: 'ignore' });
}

/** Builds the Go peers (a moment when nothing changed). @param {string} go @returns the folder with `proxy` and `load` */
export function buildGo(go) {
  const target = join(benchDir, '.cache', 'bin');
  mkdirSync(target, { recursive: true });
  execFileSync(go, ['build', '-o', `${target}/`, './...'], { cwd: join(benchDir, 'peers', 'go'), stdio: ['ignore', 'inherit', 'inherit'] });
  return target;
}

/** Makes the folder of this run: in memory where there is a tmpfs, so that no disk takes part in the measurement. */
export function makeRunDir() {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sallyport-bench-'));
}

/** The hard limit of open files, which Node has already made its own. */
export function openFileLimit() {
  const line = /^Max open files\s+\d+\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return line?.[1] === undefined || line[1] === 'unlimited' ? Infinity : Number(line[1]);
}

/**
 * The machine and the versions, as the results name them.
 * @param {Tools} tools
 */
export function describeMachine(tools) {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    // Not what this process may use: it has moved off the proxy's core.
    cores: cpus().length,
    kernel: release(),
    node: process.versions.node,
    go: version(tools.go, ['version'], /go(\d[\w.]*)/),
    nginx: version(tools.nginx, ['-v'], /nginx\/(\S+)/),
    haproxy: version(tools.haproxy, ['-v'], /version (\d[\w.]*)/i),
    wrk: version(tools.wrk, ['-v'], /wrk (\S+)/),
  };
}

/** @param {string | null} program @param {string[]} args @param {RegExp} pattern */
function version(program, args, pattern) {
  if (program === null) return null;
  try {
    // wrk exits with 1 after printing its version, nginx prints it to stderr: read both, whatever the exit code.
    const text = execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1 || true', program, ...args], { encoding: 'utf8' });
    return pattern.exec(text)?.[1] ?? null;
  } catch {
    return null;
  }
}
