import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/**
 * A process that the benchmark started.
 * @typedef {object} Started
 * @property {string} name for messages
 * @property {import('node:child_process').ChildProcess} child
 * @property {number} pid
 * @property {() => string} errors the last 4 KB of what it wrote to stderr
 */

/** @type {Set<Started>} */
const running = new Set();

/**
 * Starts a program on the given cores. Its stderr is kept for error messages; its stdout goes where the caller says.
 * @param {string} name
 * @param {string[]} command
 * @param {{ cores: string | null, env?: Record<string, string>, stdio?: 'ignore' | 'pipe' | number }} options
 * @returns {Started}
 */
export function start(name, command, options) {
  // taskset replaces itself with the program, so the pid is the program's.
  const [program, ...args] = options.cores === null ? command : ['taskset', '-c', options.cores, ...command];
  const out = options.stdio ?? 'ignore';
  const child = spawn(program, args, {
    stdio: [out === 'pipe' ? 'pipe' : 'ignore', out, 'pipe'],
    env: { ...process.env, ...options.env },
  });
  if (child.pid === undefined) throw new Error(`${name} could not be started: ${program}`);
  let tail = '';
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    tail = (tail + text).slice(-4096);
  });
  const started = { name, child, pid: child.pid, errors: () => tail.trim() };
  running.add(started);
  child.once('exit', () => running.delete(started));
  return started;
}

/** Whether the process has ended. @param {Started} started */
export function hasEnded({ child }) {
  return child.exitCode !== null || child.signalCode !== null;
}

/**
 * Ends a process and waits until it is gone: SIGTERM, and SIGKILL after two seconds.
 * @param {Started} started
 */
export async function stop(started) {
  if (hasEnded(started)) return;
  const gone = once(started.child, 'exit');
  const family = processTree(started.pid);
  started.child.kill('SIGTERM');
  const impatient = setTimeout(() => family.forEach(killNow), 2000);
  await gone;
  clearTimeout(impatient);
}

/** Ends everything that is still running, at once; for the end of this process, whatever its cause. */
export function killAll() {
  for (const started of running) processTree(started.pid).forEach(killNow);
}

/** @param {number} pid */
function killNow(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}

/** The process and all its descendants. @param {number} pid @returns {number[]} */
function processTree(pid) {
  const children = threads(pid).flatMap((thread) => read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number));
  return [pid, ...children.flatMap(processTree)];
}

/**
 * CPU time of all threads of the process and its descendants, in microseconds. From schedstat, which counts
 * nanoseconds; where the kernel has none, from the clock ticks in stat.
 * @param {Started} started
 */
export function cpuMicros({ pid }) {
  return processTree(pid).reduce((sum, each) => sum + threads(each).reduce((inner, thread) => inner + threadMicros(each, thread), 0), 0);
}

/** @param {number} pid @param {string} thread */
function threadMicros(pid, thread) {
  const nanoseconds = Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]);
  if (nanoseconds > 0) return nanoseconds / 1000;
  const fields = read(`/proc/${pid}/task/${thread}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10_000;
}

/** Resident memory of the process and its descendants, in bytes. @param {Started} started */
export function residentBytes({ pid }) {
  return processTree(pid).reduce((sum, each) => sum + Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${each}/status`))?.[1] ?? 0) * 1024, 0);
}

/** @param {number} pid */
function threads(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** @param {string} file */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** A TCP port on loopback that was free a moment ago and was not handed out before. @returns {Promise<number>} */
export async function freePort() {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    server.close();
    await once(server, 'close');
    if (!handedOut.has(port)) {
      handedOut.add(port);
      return port;
    }
  }
}

/** @type {Set<number>} */
const handedOut = new Set();
