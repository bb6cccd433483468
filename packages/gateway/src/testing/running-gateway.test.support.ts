import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseConfig } from '../config/load.js';
import type { Exchange } from '../exchange.js';
import { type Gateway, type GatewayOptions, startGateway } from '../gateway.js';
import { temporaryDirectory } from './temporary-directory.test.support.js';

/** A gateway with every door on a port of its own, an authority and a log in a temporary directory. */
export interface RunningGateway {
  readonly gateway: Gateway;
  readonly forward: number;
  readonly sidecar: number;
  readonly ops: number;
  /** The certificate of its authority, PEM. */
  readonly caPem: string;
  /** Every exchange that was recorded, in order. */
  readonly exchanges: readonly Exchange[];
  /** Resolves once that many exchanges have been recorded, with the last of them. */
  recorded(count: number): Promise<Exchange>;
  /** Applies other sections. */
  reload(sections: string): Promise<void>;
  /** Everything that was logged so far. */
  log(): Promise<string>;
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

/** What the sections of a test leave out. Names under `.test` are this machine. */
const defaults: Readonly<Record<string, string>> = {
  listeners: 'listeners: { forward: { port: 0 }, sidecar: { port: 0, insecure_targets: true }, ops: { port: 0 } }',
  policy: 'policy: { rules: ["allow api.test:* to 127.0.0.0/8", "allow other.test:* to 127.0.0.0/8"] }',
  callers: 'callers: { here: { loopback: true, credentials: all } }',
  shutdown: 'shutdown: { drain: 5s }',
};

const running = new Set<RunningGateway>();

/** Stops every gateway that is still running. */
export async function stopGateways(): Promise<void> {
  await Promise.all([...running].map((one) => one.stop()));
}

/** Starts a gateway from the sections under `gateway:` as YAML text; `env` fills in `${NAME}`. `CA` names the authority of the upstreams. */
export async function runningGateway(
  sections = '',
  env: Readonly<Record<string, string>> = {},
  options: Pick<GatewayOptions, 'plugin'> = {},
): Promise<RunningGateway> {
  const directory = await temporaryDirectory();
  const logFile = join(directory, 'log');
  const config = (text: string) => parseConfig(wholeConfig(text, directory, logFile, env), { path: join(directory, 'sallyport.yaml'), env }).gateway;
  const exchanges: Exchange[] = [];
  let waiting: (() => void)[] = [];
  const onExchange = (exchange: Exchange): void => {
    exchanges.push(exchange);
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  const gateway = await startGateway(config(sections), { version: '0.0.0-test', onExchange, ...options });
  const { ports } = gateway;
  const one: RunningGateway = {
    gateway,
    get forward() {
      return gateway.ports.forward ?? 0;
    },
    get sidecar() {
      return gateway.ports.sidecar ?? 0;
    },
    ops: ports.ops ?? 0,
    caPem: gateway.authority.certificatePem,
    exchanges,
    async recorded(count) {
      while (exchanges.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
      return exchanges[count - 1];
    },
    reload: (text) => gateway.reload(config(text)),
    async log() {
      await gateway.log.flush();
      return readFile(logFile, 'utf8');
    },
    async metrics() {
      return (await fetch(`http://127.0.0.1:${ports.ops}/metrics`, { headers: { connection: 'close' } })).text();
    },
    async stop() {
      if (!running.delete(one)) return;
      await gateway.stop(AbortSignal.abort());
    },
  };
  running.add(one);
  return one;
}

function wholeConfig(sections: string, directory: string, logFile: string, env: Readonly<Record<string, string>>): string {
  const all = {
    ...defaults,
    upstream: `upstream: { ca: [${env.CA === undefined ? '' : JSON.stringify(env.CA)}], hosts: { api.test: 127.0.0.1, other.test: 127.0.0.1 } }`,
    authority: `authority: { dir: ${JSON.stringify(join(directory, 'ca'))} }`,
    log: `log: { file: ${JSON.stringify(logFile)} }`,
  };
  const missing = Object.entries(all).filter(([name]) => !new RegExp(`^${name}:`, 'm').test(sections));
  const lines = [...missing.map(([, text]) => text), ...sections.split('\n')];
  return `gateway:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
}
