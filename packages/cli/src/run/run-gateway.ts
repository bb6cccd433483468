import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  compilePolicy,
  controlSocketPath,
  type GatewayConfig,
  type JoinedRun,
  joinGateway,
  loadConfig,
  parseConfig,
  prepareOffer,
  type RunCredentials,
  type RunSummary,
  Runs,
  startGateway,
} from '@sallyport/gateway';
import { homeDirectory, requireConfig } from '../config-file.js';
import { version } from '../version.js';

/** What a run was asked to be. */
export interface RunOptions {
  readonly config?: string | undefined;
  readonly credentials: RunCredentials;
  /** Rules in addition to those of the configuration, in front of them. */
  readonly allow: readonly string[];
  readonly mode?: GatewayConfig['policy']['mode'] | undefined;
}

/** A gateway with a run in it: one that was there, or one of our own. */
export type RunGateway = JoinedRun;

/** How long the connections of a program that has ended may take to be noticed. Milliseconds. */
const DRAIN = 1_000;
const KEPT_LOGS = 20;

/**
 * Joins the gateway that runs with the same configuration, or starts one on a free loopback port that nobody but this run can use. Rules and a mode
 * of its own always take a gateway of its own. Errors: those of the configuration, of the authority, of the gateway that was joined.
 */
export async function openRunGateway(options: RunOptions, configPath: string | null): Promise<RunGateway> {
  const ownPolicy = options.allow.length > 0 || options.mode !== undefined;
  if (configPath === null) return startOwn(ownPolicy ? emptyConfig() : neverWithoutConfig(options.config), options);
  if (!ownPolicy && process.platform !== 'win32') {
    const joined = await joinGateway(controlSocketPath(controlDirectory(), configPath), options.credentials);
    if (joined !== null) return joined;
  }
  return startOwn((await loadConfig(configPath)).gateway, options);
}

/** Where gateways of this user can be found. */
export function controlDirectory(): string {
  return join(homeDirectory(), 'run');
}

function neverWithoutConfig(given: string | undefined): never {
  requireConfig(given);
  throw new Error('a configuration appeared this very moment');
}

function emptyConfig(): GatewayConfig {
  const text = JSON.stringify({ gateway: { listeners: { forward: { port: 0 } } } });
  return parseConfig(text, { path: join(homeDirectory(), 'command-line.yaml') }).gateway;
}

async function startOwn(config: GatewayConfig, { allow, mode, credentials }: RunOptions): Promise<RunGateway> {
  const policy = { mode: mode ?? config.policy.mode, rules: [...allow.map(asRule), ...config.policy.rules] };
  // Rules of the command line were read by nobody yet.
  compilePolicy(policy);
  const runs = new Runs();
  const own: GatewayConfig = {
    ...config,
    policy,
    listeners: { forward: { host: '127.0.0.1', port: 0, insecure_targets: config.listeners.forward?.insecure_targets ?? true } },
    // The run is the only caller: who may come in elsewhere, with a token or without, has no business at this port.
    callers: {},
    log: config.log.file === undefined ? await ownLog(config.log) : config.log,
  };
  const gateway = await startGateway(own, { version: version(), onExchange: runs.note });
  try {
    // The secrets are those of the whole configuration, the callers included that have no business here.
    const offerTo = await prepareOffer({ authority: gateway.authority, ports: gateway.ports, config: { ...config, listeners: own.listeners } });
    const run = runs.begin({ runs: gateway.runs, config }, credentials);
    return {
      offer: offerTo(run),
      lost: new AbortController().signal,
      async end(): Promise<RunSummary | null> {
        await gateway.stop(AbortSignal.timeout(DRAIN));
        return runs.end(run.id);
      },
    };
  } catch (error) {
    await gateway.stop(AbortSignal.abort());
    throw error;
  }
}

function asRule(text: string): string {
  return /^\s*(allow|passthrough)\s/.test(text) ? text : `allow ${text}`;
}

/** A file of its own for each run, of which the newest are kept; no log where there can be none. Standard output belongs to the program. */
async function ownLog(log: GatewayConfig['log']): Promise<GatewayConfig['log']> {
  const directory = join(homeDirectory(), 'log');
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const before = (await readdir(directory)).filter((name) => /^run-.*\.ndjson$/.test(name)).sort();
    for (const name of before.slice(0, -(KEPT_LOGS - 1))) await rm(join(directory, name), { force: true });
    const now = new Date().toISOString().replaceAll(':', '-').slice(0, 19);
    return { ...log, file: join(directory, `run-${now}-${process.pid}.ndjson`) };
  } catch {
    return { ...log, level: 'silent' };
  }
}
