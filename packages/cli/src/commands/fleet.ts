import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { millisecondsOf } from '../fleet/duration-option.js';
import { addressOf, checkToken, type Endpoint, type Instance, instanceName, instanceUrl, invalid, type TokenReference } from '../fleet/instance.js';
import { openLiveScreen, type Terminal } from '../fleet/live-screen.js';
import { createPoller } from '../fleet/poller.js';
import { createProber } from '../fleet/probe.js';
import { addInstance, readRegister, registerPath, removeInstance } from '../fleet/register.js';
import { type FleetReport, isWell } from '../fleet/report.js';
import { fleetTable } from '../fleet/table.js';
import { coloursFor, columns, printJson } from '../terminal.js';

type Format = 'table' | 'json' | 'yaml';

/** How an instance is reached, as the command line says it. */
export interface EndpointOptions {
  ca?: string;
  tokenEnv?: string;
  tokenFile?: string;
}

/** The options of `sallyport fleet status`. */
export interface StatusOptions {
  watch?: true;
  output: Format;
  interval?: string;
  timeout: string;
}

/** One look is not enough for rates, nor to call an instance unreachable. */
const LOOKS = 3;

/** `sallyport fleet add`. Errors: `fleet_invalid`, `fleet_instance_exists`, `fleet_register_failed`. */
export async function addToFleet(name: string, address: string, options: EndpointOptions): Promise<number> {
  const instance: Instance = { name: instanceName(name), ...endpointOf(address, options) };
  await addInstance(registerPath(), instance);
  process.stderr.write(`${name} is registered. See it with: sallyport fleet status\n`);
  return 0;
}

/** `sallyport fleet remove`. Errors: `fleet_instance_unknown`, `fleet_register_failed`. */
export async function removeFromFleet(name: string): Promise<number> {
  await removeInstance(registerPath(), name);
  process.stderr.write(`${name} is no longer registered.\n`);
  return 0;
}

/** `sallyport fleet list`. Errors: `fleet_register_failed`. */
export async function listFleet({ output }: { output: Format }): Promise<number> {
  const instances = await readRegister(registerPath());
  if (output !== 'table') print(output, instances);
  else if (instances.length === 0) process.stderr.write(`${noInstances}\n`);
  else {
    const colours = coloursFor(process.stdout);
    const rows = instances.map(({ name, url, ca, token }) => [name, url, ca ?? '–', tokenName(token)]);
    process.stdout.write(`${columns([['instance', 'url', 'ca', 'token'].map(colours.dim), ...rows])}\n`);
  }
  return 0;
}

/** `sallyport fleet test`: 0 when the instance answers as it should, otherwise 1. Nothing is registered. Errors: `fleet_invalid`. */
export async function testInstance(address: string, options: EndpointOptions & { output: Format; timeout: string }): Promise<number> {
  const endpoint = endpointOf(address, options);
  const prober = createProber(endpoint, millisecondsOf(options.timeout));
  const probe = await prober.look(new AbortController().signal);
  await prober.close();
  if (options.output !== 'table') {
    print(options.output, {
      ok: probe.ok,
      health: probe.ok ? 'alive' : null,
      ready: probe.ok ? probe.ready : null,
      version: probe.ok ? probe.version : null,
      metrics: probe.ok ? probe.reading !== null : null,
      error: probe.ok ? probe.note : probe.error,
    });
  } else if (probe.ok) {
    const readiness = probe.ready === null ? '' : probe.ready ? ', ready' : ', not ready';
    const note = probe.note === null ? '' : `\n${probe.note}`;
    process.stdout.write(`${addressOf(endpoint)} is alive: version ${probe.version ?? 'unknown'}${readiness}.${note}\n`);
  } else process.stdout.write(`${addressOf(endpoint)} does not work: ${probe.error}.\n`);
  return probe.ok ? 0 : 1;
}

/**
 * `sallyport fleet status`: 0 when every instance is healthy and ready, otherwise 1; with `watch` that of the last round. Looks three times without
 * `watch`, until it is told to stop with it. Errors: `fleet_register_failed`.
 */
export async function fleetStatus(options: StatusOptions, terminal: Terminal = { input: process.stdin, output: process.stdout }): Promise<number> {
  const instances = await readRegister(registerPath());
  if (instances.length === 0 && options.output === 'table') {
    process.stderr.write(`${noInstances}\n`);
    return 0;
  }
  const interval = millisecondsOf(options.interval ?? (options.watch === true ? '5s' : '1s'));
  const poller = createPoller(instances, { interval, timeout: millisecondsOf(options.timeout) });
  try {
    const last = options.watch === true ? await watch(poller, interval, options.output, terminal) : await look(poller, interval);
    if (options.watch !== true) show(last, options.output);
    return last.instances.every(isWell) ? 0 : 1;
  } finally {
    await poller.close();
  }
}

const noInstances = 'No instance is registered. Add one with: sallyport fleet add NAME HOST:PORT';

type Poller = ReturnType<typeof createPoller>;

async function look(poller: Poller, interval: number): Promise<FleetReport> {
  const { signal } = new AbortController();
  for (let count = 1; count < LOOKS; count += 1) {
    await poller.round(signal);
    await sleep(interval);
  }
  return poller.round(signal);
}

/** Round after round until a key, a signal or a closed output ends it; answers the last complete one. */
async function watch(poller: Poller, interval: number, format: Format, terminal: Terminal): Promise<FleetReport> {
  const end = new AbortController();
  const quit = (): void => end.abort();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, quit);
  terminal.output.on('error', quit);
  const screen = format === 'table' && terminal.output.isTTY === true ? openLiveScreen(terminal, quit) : null;
  screen?.draw('Asking every instance…');
  try {
    let last = await poller.round(end.signal);
    while (!end.signal.aborted) {
      if (screen === null) showRound(last, format);
      else screen.draw(fleetTable(last, coloursFor(terminal.output)));
      await sleep(interval, undefined, { signal: end.signal }).catch(() => {});
      if (end.signal.aborted) break;
      const next = await poller.round(end.signal);
      // An interrupted round says nothing about the fleet.
      if (!end.signal.aborted) last = next;
    }
    return last;
  } finally {
    screen?.close();
    terminal.output.off('error', quit);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, quit);
  }
}

function show(report: FleetReport, format: Format): void {
  if (format === 'table') process.stdout.write(`${fleetTable(report, coloursFor(process.stdout))}\n`);
  else print(format, report);
}

/** One of many documents: JSON on a line of its own, YAML behind its marker, tables with an empty line in between. */
function showRound(report: FleetReport, format: Format): void {
  if (format === 'json') process.stdout.write(`${JSON.stringify(report)}\n`);
  else if (format === 'yaml') process.stdout.write(`---\n${stringify(report)}`);
  else process.stdout.write(`${fleetTable(report, coloursFor(process.stdout))}\n\n`);
}

function print(format: 'json' | 'yaml', value: unknown): void {
  if (format === 'json') printJson(value);
  else process.stdout.write(stringify(value));
}

function endpointOf(address: string, { ca, tokenEnv, tokenFile }: EndpointOptions): Endpoint {
  if (tokenEnv !== undefined && tokenFile !== undefined)
    throw invalid('--token-env and --token-file are both there.', 'Name one place for the token.');
  const token: TokenReference | null = tokenEnv !== undefined ? { env: tokenEnv } : tokenFile !== undefined ? { file: resolve(tokenFile) } : null;
  const endpoint: Endpoint = { url: instanceUrl(address), ca: ca === undefined ? null : resolve(ca), token };
  if (endpoint.ca !== null && !endpoint.url.startsWith('https:'))
    throw invalid('--ca goes with https only.', 'Write the address as https://HOST:PORT.');
  checkToken(endpoint);
  return endpoint;
}

function tokenName(token: TokenReference | null): string {
  if (token === null) return '–';
  return 'env' in token ? `env ${token.env}` : `file ${token.file}`;
}
