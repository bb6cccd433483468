import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Plugin } from '@sallyport/sdk';
import { loadConfig } from '../../config/load.js';
import type { GatewayConfig } from '../../config/schema.js';
import type { Exchange } from '../../exchange.js';
import { type Gateway, startGateway } from '../../gateway.js';
import type { Response } from '../../testing/message-reader.test.support.js';
import { RawClient, rawClient } from '../../testing/raw-client.test.support.js';
import { upstreamAuthority } from '../../testing/scene.test.support.js';
import { echo, type Script, type ScriptedUpstream, startUpstream } from '../../testing/scripted-upstream.test.support.js';
import { temporaryDirectory } from '../../testing/temporary-directory.test.support.js';
import { type ClientAuthority, clientAuthority, type Issued, SERVER_AUTHENTICATION } from '../../tls/mutual/client-authority.test.support.js';

/** What a test changes about the file, by the paths of its keys (`upstream.allow_list`), and what it gives beside it. */
export interface ContractOptions {
  readonly keys?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly plugin?: Plugin;
  readonly script?: Script;
  /** Names that are this machine but may not be called there, for what is decided before anything is dialed. */
  readonly inside?: readonly string[];
}

/** A gateway started from a Chaperone file, a platform with a client certificate before it, and the vendor `vendor.test` behind it. */
export interface Contract {
  readonly gateway: Gateway;
  readonly config: GatewayConfig;
  readonly vendor: ScriptedUpstream;
  /** `https://vendor.test:PORT`. */
  readonly origin: string;
  /** Where its files are: config.yaml, server.crt, server.key, ca.crt. */
  readonly directory: string;
  readonly clients: ClientAuthority;
  readonly servers: ClientAuthority;
  readonly exchanges: readonly Exchange[];
  /** Resolves once that many exchanges have been recorded, with the last of them. */
  recorded(count: number): Promise<Exchange>;
  /** A connection of the platform; with another identity, or none, when that is said. */
  client(identity?: Pick<Issued, 'cert' | 'key'> | null, options?: ConnectionOptions): Promise<RawClient>;
  /** Calls a URL, or a path of the vendor, on a connection of its own. */
  call(target: string | null, request?: ContractRequest): Promise<Response>;
  /** Asks the admin port. */
  admin(startLine: string): Promise<Response>;
  log(): Promise<string>;
  stop(): Promise<void>;
}

/** What a request says beyond its target. */
export interface ContractRequest {
  readonly method?: string;
  /** In the place of `/proxy`. */
  readonly at?: string;
  readonly lines?: readonly string[];
  readonly body?: string;
}

const running = new Set<Contract>();

/** Stops every gateway that is still running, and the clients before them. */
export async function stopContracts(): Promise<void> {
  await Promise.all([...running].map((one) => one.stop()));
}

/** Starts one. The vendor speaks TLS; the file has mutual TLS on, and lets everything out to the vendor. */
export async function contract({ keys = {}, env = {}, plugin, script = echo, inside = [] }: ContractOptions = {}): Promise<Contract> {
  const directory = await temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  const [trusted, servers, clients] = await Promise.all([upstreamAuthority(), clientAuthority('Servers'), clientAuthority('Clients')]);
  const vendor = await startUpstream(script, trusted.serverFor('vendor.test'));
  const [own, platform] = await Promise.all([
    servers.issue({ subject: [{ CN: ['gateway'] }], names: [{ type: 'dns', value: 'gateway.test' }], purposes: [SERVER_AUTHENTICATION] }),
    clients.issue({ subject: [{ CN: ['platform'] }] }),
  ]);
  await Promise.all([writeFile(at('server.crt'), own.cert), writeFile(at('server.key'), own.key), writeFile(at('ca.crt'), clients.cert)]);
  const written = tree({
    'server.addr': '127.0.0.1:0',
    'server.admin_addr': '127.0.0.1:0',
    'server.shutdown_timeout': '20s',
    'server.tls.cert_file': at('server.crt'),
    'server.tls.key_file': at('server.key'),
    'server.tls.ca_file': at('ca.crt'),
    'upstream.allow_list': { [`vendor.test:${vendor.port}`]: ['/**'] },
    ...keys,
  });
  // JSON is YAML.
  await writeFile(at('config.yaml'), JSON.stringify(written, null, 2), { mode: 0o600 });
  const { gateway: read } = await loadConfig(at('config.yaml'), { env });
  const names = ['vendor.test', 'target.test', ...inside];
  const config: GatewayConfig = {
    ...read,
    // What a Chaperone file cannot say, because there it is the machine: who is where, who vouches for them, and that this very one may be called.
    upstream: { ...read.upstream, ca: [trusted.path], hosts: Object.fromEntries(names.map((name) => [name, '127.0.0.1'])) },
    policy: { ...read.policy, rules: [`allow vendor.test:${vendor.port} to 127.0.0.0/8`] },
    authority: { ...read.authority, dir: at('authority') },
    log: { ...read.log, file: at('log') },
  };
  const exchanges: Exchange[] = [];
  const waiting: (() => void)[] = [];
  const gateway = await startGateway(config, {
    version: '0.0.0-test',
    ...(plugin === undefined ? {} : { plugin }),
    onExchange(exchange) {
      exchanges.push(exchange);
      for (const wake of waiting.splice(0)) wake();
    },
  });
  const origin = `https://vendor.test:${vendor.port}`;
  const sockets = new Set<TLSSocket>();
  const one: Contract = {
    gateway,
    config,
    vendor,
    origin,
    directory,
    clients,
    servers,
    exchanges,
    async recorded(count) {
      while (exchanges.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
      return exchanges[count - 1];
    },
    async client(identity = platform, options = {}) {
      const port = gateway.ports.sidecar ?? 0;
      if (config.listeners.sidecar?.tls === undefined) return rawClient(port);
      const pair = identity === null ? {} : { cert: identity.cert, key: identity.key };
      const socket = connect({ host: '127.0.0.1', port, ca: servers.cert, servername: 'gateway.test', ...pair, ...options });
      sockets.add(socket);
      await once(socket, 'secureConnect');
      return new RawClient(socket);
    },
    async call(target, { method = 'GET', at: path = '/proxy', lines = [], body = '' } = {}) {
      const url = target?.startsWith('/') === true ? `${origin}${target}` : target;
      const prefix = config.listeners.sidecar?.header_prefix ?? '';
      const head = ['Host: sidecar', ...(url === null ? [] : [`${prefix}-Target-URL: ${url}`]), ...lines];
      const client = await one.client();
      return client.request(`${method} ${path} HTTP/1.1`, body === '' ? head : [...head, `Content-Length: ${body.length}`], body);
    },
    async admin(startLine) {
      const client = await rawClient(gateway.ports.ops ?? 0);
      return client.request(startLine, [`Host: 127.0.0.1:${gateway.ports.ops}`, 'Connection: close']);
    },
    async log() {
      await gateway.log.flush();
      return readFile(at('log'), 'utf8');
    },
    async stop() {
      if (!running.delete(one)) return;
      for (const socket of sockets) socket.destroy();
      await gateway.stop(AbortSignal.abort());
    },
  };
  running.add(one);
  return one;
}

/** Nested objects from dotted paths. */
function tree(keys: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(keys)) setAt(root, path, value);
  return root;
}

/** Writes a value at a dotted path, and makes the objects on the way there. */
export function setAt(root: Record<string, unknown>, path: string, value: unknown): void {
  const steps = path.split('.');
  const last = steps.pop() as string;
  let place = root;
  for (const step of steps) {
    place[step] ??= {};
    place = place[step] as Record<string, unknown>;
  }
  place[last] = value;
}
