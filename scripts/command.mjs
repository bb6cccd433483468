import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the repository, without a slash at the end. */
export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Absolute path of the command that the package `name` installs from `file`. Run it with `process.execPath`: it needs no shell and no PATH. */
export function tool(name, file) {
  return path.join(root, 'node_modules', name, file);
}

/**
 * Runs a program in the repository to its end.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {{ show?: boolean, env?: NodeJS.ProcessEnv, shell?: boolean, timeout?: number }} options `show` passes the output
 *   through instead of collecting it; after `timeout` milliseconds the program is ended; without one it may take as long as it wants
 * @returns {Promise<{ ok: boolean, output: string }>} never rejects: a program that cannot be started is not ok, and the output says why
 */
export function run(program, args, { show = false, env = process.env, shell = false, timeout } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, env, shell, timeout, stdio: show ? 'inherit' : ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', (error) => resolve({ ok: false, output: `${program} could not be started: ${error.message}` }));
    child.on('close', (code, signal) => resolve({ ok: code === 0, output: signal === null ? output : `${output}\n${program} ended by ${signal}` }));
  });
}

/** Runs npm, also where it is a script that only a shell can start. Same contract as `run`. */
export function npm(args, options = {}) {
  const script = process.env.npm_execpath;
  if (script?.endsWith('npm-cli.js')) return run(process.execPath, [script, ...args], options);
  return run('npm', args, { ...options, shell: process.platform === 'win32' });
}

/** Seconds since `since` (a `performance.now()`), written for people. */
export function elapsed(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

/** Every line of `text` set in by four spaces, without empty lines at the ends. */
export function indented(text) {
  return text
    .trim()
    .split('\n')
    .map((line) => `    ${line}`.trimEnd())
    .join('\n');
}
