import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { chooseCores, describeMachine, findTools, makeRunDir, pinSelf } from '../environment.mjs';
import { hasEnded, killAll } from '../processes.mjs';
import { writeSection } from '../report.mjs';
import { readProgram, serveProgram } from './child.mjs';
import { help, parseControlOptions } from './options.mjs';
import { loadControlResults, render, saveControlResults } from './report.mjs';
import { measureRequests } from './requests-load.mjs';

/**
 * What all parts of a run work with.
 * @typedef {object} Context
 * @property {{ proxy: string | null, load: string | null }} cores
 * @property {string} wrk
 * @property {string} memoryDir for small files, which need no disk
 * @property {(provider: import('./options.mjs').Provider, name: string) => Promise<object>} connection a new, empty database on the disk
 */

/**
 * `npm run bench -- control`.
 * @param {string[]} args what comes after `control`
 * @returns {Promise<number>} the exit code: 1 when something failed
 */
export async function runControl(args) {
  const options = parseControlOptions(args);
  if (options === null) {
    process.stdout.write(help);
    return 0;
  }
  const results = options.report ? loadControlResults() : await measureAll(options).finally(killAll);
  const markdown = render(results);
  console.log(`\n${markdown}\n`);
  if (!options.report) console.log(`Results: ${saveControlResults(results)}`);
  if (options.writeReadme) console.log(`Tables written: ${writeSection('control', markdown)}`);
  return (results.requests ?? []).some(({ servers }) => Object.values(servers).some(({ failures }) => failures.length > 0)) ? 1 : 0;
}

/** @param {import('./options.mjs').ControlOptions} options @returns {Promise<import('./report.mjs').ControlResults>} */
async function measureAll(options) {
  if (process.platform !== 'linux') throw new Error('The benchmark reads CPU time from /proc and so runs on Linux only.');
  const loadAverage = Math.round((loadavg()[0] ?? 0) * 10) / 10;
  const tools = findTools();
  const cores = chooseCores(tools);
  pinSelf(tools, cores);
  const memoryDir = makeRunDir();
  // Postgres runs as another user where this one is root, and has to get to its data.
  const diskDir = mkdtempSync(join(tmpdir(), 'sallyport-bench-control-'));
  chmodSync(diskDir, 0o711);
  process.once('exit', () => {
    killAll();
    for (const dir of [memoryDir, diskDir]) rmSync(dir, { recursive: true, force: true });
  });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.once(signal, () => process.exit(130));

  const needsPostgres = options.databases.includes('postgres') && (options.only.includes('requests') || options.only.includes('lists'));
  const postgres = needsPostgres ? await startPostgres(diskDir, cores.load) : null;
  /** @type {Context['connection']} */
  const connection = async (provider, name) => {
    if (provider === 'sqlite') return { provider, path: join(diskDir, `${name}.db`) };
    return { provider, url: await postgres?.create(name), statementTimeoutMs: 600_000 };
  };
  const context = { cores, wrk: tools.wrk ?? '', memoryDir, connection };

  /** @type {import('./report.mjs').ControlResults} */
  const results = {
    date: new Date().toISOString(),
    machine: { ...describeMachine(tools), pinned: cores.proxy !== null, loadAverage },
    options: { rounds: options.rounds, seconds: options.seconds },
    skipped: [],
  };
  /** @template Result @param {string} title @param {(say: (text: string) => void) => Promise<Result>} work @returns {Promise<Result>} */
  const timed = async (title, work) => {
    const begin = Date.now();
    const isTerminal = process.stdout.isTTY;
    const result = await work((text) => void (isTerminal && process.stdout.write(`\r\x1b[K${title}: ${text} …`)));
    console.log(`${isTerminal ? '\r\x1b[K' : ''}${title}: ${((Date.now() - begin) / 1000).toFixed(0)} s`);
    return result;
  };
  const { only, short } = options;
  if (only.includes('requests')) {
    if (tools.wrk === null) results.skipped.push('wrk is not installed: no requests per second. Get it: apt-get install wrk');
    else results.requests = await timed('requests', (say) => measureRequests(context, options, say));
  }
  if (only.includes('tokens')) results.tokens = await timed('tokens', () => readProgram('token-cases.mjs', { short }, cores.proxy));
  if (only.includes('encryption')) results.encryption = await timed('encryption', () => readProgram('encryption-cases.mjs', { short }, cores.proxy));
  if (only.includes('permissions'))
    results.permissions = await timed('permissions', () => readProgram('permission-cases.mjs', { short }, cores.proxy));
  if (only.includes('lists')) {
    results.lists = {};
    for (const provider of options.databases) {
      const setup = { connection: await connection(provider, 'lists'), rows: options.rows[provider], short };
      results.lists[provider] = await timed(`lists, ${provider}`, () => readProgram('list-cases.mjs', setup, cores.proxy));
    }
  }
  await postgres?.stop();
  return results;
}

/** A server with its data on the disk. @param {string} diskDir @param {string | null} cores */
async function startPostgres(diskDir, cores) {
  const databaseDir = join(diskDir, 'postgres');
  mkdirSync(databaseDir);
  const { running, line: url } = await serveProgram('postgres-server.mjs', { databaseDir }, cores);
  return {
    /** @param {string} name */
    create: async (name) => {
      const client = new pg.Client(`${url}postgres`);
      await client.connect();
      await client.query(`create database ${client.escapeIdentifier(name)}`);
      await client.end();
      return `${url}${name}`;
    },
    stop: async () => {
      running.child.stdin?.end();
      if (!hasEnded(running)) await once(running.child, 'exit');
    },
  };
}
