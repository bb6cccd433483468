import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { benchDir } from '../environment.mjs';
import { start } from '../processes.mjs';

/** @typedef {import('../processes.mjs').Started} Started */

/**
 * Runs one of the programs of this folder to its end, and reads the JSON that it prints.
 * @param {string} program the name of its file
 * @param {unknown} setup what it gets as its argument
 * @param {string | null} cores
 * @throws {Error} with what it wrote to stderr, when it printed nothing
 */
export async function readProgram(program, setup, cores) {
  const running = startProgram(program, setup, cores);
  let text = '';
  running.child.stdout?.setEncoding('utf8').on('data', (more) => {
    text += more;
  });
  await once(running.child, 'close');
  if (running.child.exitCode !== 0 || text === '') throw new Error(`${program} could not be run (npm run build?): ${running.errors()}`);
  return JSON.parse(text);
}

/**
 * Starts one of the programs of this folder and waits for the one line that it prints when it is ready.
 * @param {string} program
 * @param {unknown} setup
 * @param {string | null} cores
 * @returns {Promise<{ running: Started, line: string }>}
 */
export async function serveProgram(program, setup, cores) {
  const running = startProgram(program, setup, cores);
  const { stdout } = running.child;
  if (stdout === null) throw new Error(`${program} has no pipe`);
  for await (const line of createInterface({ input: stdout })) {
    stdout.resume();
    return { running, line };
  }
  throw new Error(`${program} did not start (npm run build?): ${running.errors()}`);
}

/** @param {string} program @param {unknown} setup @param {string | null} cores */
function startProgram(program, setup, cores) {
  return start(program, [process.execPath, join(benchDir, 'control', program), JSON.stringify(setup)], { cores, stdio: 'pipe' });
}
