import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { benchDir } from '../environment.mjs';
import { cpuMicros, start, stop } from '../processes.mjs';
import { medianOf, ratio } from '../statistics.mjs';
import { serveProgram } from './child.mjs';
import { requests } from './requests.mjs';

/**
 * @typedef {object} Server
 * @property {string} name
 * @property {string} title
 * @property {import('../processes.mjs').Started} running
 * @property {number} port
 * @property {Record<'tenants' | 'actors', string[]>} picks the names that it knows: ids are random
 * @property {Record<string, number> | null} statements by request; null where there is no database
 */

/** @typedef {{ cpu: number, rate: number, busy: number }} Sample CPU microseconds per request, requests per second, share of its core */
/** @typedef {{ title: string, median: Record<keyof Sample, number | null>, times: Record<string, { cpu: number | null, rate: number | null }>, statements: number | null, failures: string[] }} ServerResult */
/** @typedef {{ title: string, servers: Record<string, ServerResult> }} RequestResults */

const connections = 32;
/** What the compiler needs to see of a request through all of its layers. */
const warmUpSeconds = 4;
/** The peers: name, title, and whether it verifies the token. */
const bare = /** @type {const} */ ([
  ['fastify', 'Fastify', false],
  ['fastify-jose', 'Fastify + jose', true],
]);
/** Longer than any run takes. */
const tokenLife = 24 * 3600;

/**
 * Loads every server with every request, in turns.
 * @param {import('./control.mjs').Context} context
 * @param {import('./options.mjs').ControlOptions} options
 * @param {(text: string) => void} say
 * @returns {Promise<RequestResults[]>}
 */
export async function measureRequests(context, options, say) {
  const { token, publicJwk } = await makeToken();
  /** @type {Server[]} */
  const servers = [];
  let answers = {};
  for (const provider of options.databases) {
    say(`starting, ${provider}`);
    const setup = { connection: await context.connection(provider, 'requests'), publicJwk, token, longestLife: tokenLife };
    const { running, line } = await serveProgram('serve-control.mjs', setup, context.cores.proxy);
    const ready = JSON.parse(line);
    const title = `Sallyport, ${provider === 'sqlite' ? 'SQLite' : 'Postgres'}`;
    servers.push({ name: `sallyport-${provider}`, title, running, port: ready.port, picks: ready.picks, statements: ready.statements });
    answers = ready.answers;
  }
  const answersFile = join(context.memoryDir, 'answers.json');
  writeFileSync(answersFile, JSON.stringify(answers));
  const [{ picks }] = /** @type {[Server]} */ (servers);
  for (const [name, title, key] of bare) {
    const { running, line } = await serveProgram('serve-fastify.mjs', { answersFile, publicJwk: key ? publicJwk : null }, context.cores.proxy);
    servers.push({ name, title, running, port: JSON.parse(line).port, picks, statements: null });
  }

  const found = [];
  for (const request of requests) {
    const names = join(context.memoryDir, `${request.picks}.txt`);
    /** @type {Map<Server, { samples: (Sample | null)[], failures: string[] }>} */
    const measured = new Map(servers.map((server) => [server, { samples: [], failures: [] }]));
    for (let round = 0; round < options.rounds; round++) {
      for (const server of servers) {
        say(`${request.title}, ${server.title}, round ${round + 1}`);
        writeFileSync(names, `${server.picks[request.picks].join('\n')}\n`);
        const of = measured.get(server);
        try {
          if (round === 0) await load(context, server, request, token, names, options.short ? 1 : warmUpSeconds);
          of?.samples.push(await load(context, server, request, token, names, options.seconds));
        } catch (error) {
          of?.samples.push(null);
          of?.failures.push(error instanceof Error ? error.message : String(error));
        }
      }
    }
    found.push({ title: request.title, servers: summaries(measured, request.name) });
  }
  for (const { running } of servers) await stop(running);
  return found;
}

/**
 * @param {import('./control.mjs').Context} context
 * @param {Server} server
 * @param {import('./requests.mjs').Request} request
 * @param {string} token
 * @param {string} names the file with the names for `{pick}`
 * @param {number} seconds
 * @returns {Promise<Sample>}
 */
async function load({ wrk, cores }, { running: { pid }, running, port }, { method, path, body }, token, names, seconds) {
  const headers = ['-H', `Authorization: Bearer ${token}`, ...(body === '' ? [] : ['-H', 'Content-Type: application/json'])];
  const script = ['-s', join(benchDir, 'control', 'wrk-requests.lua'), `http://127.0.0.1:${port}`];
  const prefix = `${randomBytes(4).toString('hex')}-`;
  const command = [
    wrk,
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--timeout',
    '30s',
    ...headers,
    ...script,
    '--',
    method,
    path,
    body,
    prefix,
    names,
  ];
  const before = cpuMicros(running);
  const loading = start('wrk', command, { cores: cores.load, stdio: 'pipe' });
  let text = '';
  loading.child.stdout?.setEncoding('utf8').on('data', (more) => {
    text += more;
  });
  await once(loading.child, 'close');
  const cpu = cpuMicros(running) - before;
  const line = /^RESULT (.*)$/m.exec(text)?.[1];
  if (line === undefined) throw new Error(`wrk gave no result for process ${pid}: ${loading.errors() || text}`);
  const { requests: done, micros, failed, status } = JSON.parse(line);
  if (done === 0) throw new Error('no request was answered');
  if (failed > 0 || status > 0) throw new Error(`${failed} socket errors and ${status} error statuses in ${done} requests`);
  return { cpu: cpu / done, rate: (done * 1e6) / micros, busy: cpu / micros };
}

/** @param {Map<Server, { samples: (Sample | null)[], failures: string[] }>} measured @param {string} request @returns {Record<string, ServerResult>} */
function summaries(measured, request) {
  const samplesOf = (/** @type {string} */ name) => /** @type {any[]} */ ([...measured].find(([server]) => server.name === name)?.[1].samples ?? []);
  const entries = [...measured].map(([{ name, title, statements }, { samples, failures }]) => {
    const own = /** @type {any[]} */ (samples);
    const times = bare.map(([peer]) => [peer, { cpu: ratio(own, samplesOf(peer), 'cpu'), rate: ratio(own, samplesOf(peer), 'rate') }]);
    const median = { cpu: medianOf(own, 'cpu'), rate: medianOf(own, 'rate'), busy: medianOf(own, 'busy') };
    return [name, { title, median, times: Object.fromEntries(times), statements: statements?.[request] ?? null, failures }];
  });
  return Object.fromEntries(entries);
}

/** A token as an actor signs it for itself. */
async function makeToken() {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true });
  const now = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({ namespace: 'root' })
    .setProtectedHeader({ alg: 'EdDSA' })
    .setIssuer('admin')
    .setSubject('admin')
    .setAudience('admin-api')
    .setIssuedAt(now)
    .setExpirationTime(now + tokenLife - 60)
    .sign(privateKey);
  return { token, publicJwk: await exportJWK(publicKey) };
}
