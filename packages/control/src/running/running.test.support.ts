import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLog, parseConfig } from '@sallyport/gateway';
import { Secret } from '@sallyport/sdk';
import { afterEach } from 'vitest';
import { type ControlConfig, controlSection } from '../config/control-section.js';
import type { DatabaseOptions } from '../database/open-database.js';
import type { ServiceName } from '../server/operation.js';
import { newSigner, type Signer, sign } from '../tokens/tokens.test.support.js';
import { migrateStores } from './open-stores.js';
import { type RunningControl, startControl } from './start-control.js';

const ends: (() => unknown)[] = [];

/** Has something ended after the test, what was opened last first. */
export function endLater(end: () => unknown): void {
  ends.unshift(end);
}

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** A new folder, gone after the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-running-'));
  endLater(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The operator whom the configurations of these tests name: everything is allowed to it. */
const signer: Signer = newSigner('ed25519');

/** The public key of the operator. */
export const operatorKey = JSON.stringify(signer.publicJwk);

/** A token of the operator; further claims replace those of a good one. */
export function operatorToken(claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return sign(signer, { iss: 'ada', sub: 'ada', namespace: 'root', aud: ['api', 'admin-api', 'public'], iat: now, exp: now + 300, ...claims });
}

/** What a test changes of the section `control`. */
export type Changes = Readonly<Record<string, unknown>> & {
  readonly services?: Readonly<Record<string, object>>;
  readonly system_auth?: object;
};

/** A configuration on this database: every service on a free port, a global key of its own, one operator. */
export function configOn(options: DatabaseOptions, changes: Changes = {}): ControlConfig {
  const url = options.provider === 'postgres' ? options.url : '';
  const database =
    options.provider === 'sqlite'
      ? { provider: 'sqlite', path: options.path, synchronous: 'normal' }
      : { provider: 'postgres', url: localUrl(url instanceof Secret ? url.reveal() : url), max_connections: 5, connect_timeout: '1s' };
  const { services = {}, system_auth = {}, ...rest } = changes;
  const everywhere = { port: 0 };
  const control = {
    database,
    services: {
      public: { ...everywhere, ...services.public },
      api: { ...everywhere, ...services.api },
      admin_api: { ...everywhere, ...services.admin_api },
      worker: { ...everywhere, ...services.worker },
    },
    system_auth: {
      global_key: { value: 'the material of the global key' },
      actors: [
        {
          external_id: 'ada',
          public_keys: operatorKey,
          permissions: [{ namespace: 'root.**', resources: ['*'], verbs: ['*'] }],
        },
      ],
      ...system_auth,
    },
    ...rest,
  };
  const { control: read } = parseConfig(JSON.stringify({ control }), { path: '/nowhere/sallyport.yaml', env: {}, control: controlSection });
  if (read === null) throw new Error('There is no control plane in it.');
  return read;
}

/** The shared server is on this machine, and says nothing of encryption. */
function localUrl(url: string): string {
  return url.includes('?') ? url : `${url}?sslmode=disable`;
}

/** One line of the log. */
type LogLine = Readonly<Record<string, unknown>>;

/** A control plane that serves, and what it has logged. */
export interface Served extends RunningControl {
  readonly url: (service: ServiceName) => string;
  readonly healthUrl: (service: ServiceName) => string;
  readonly logged: () => Promise<readonly LogLine[]>;
  /** The text of the log as it stands in the file. */
  readonly logText: () => Promise<string>;
}

/** All services. */
export const everyService: readonly ServiceName[] = ['public', 'api', 'admin-api', 'worker'];

/** Starts these services; stopped after the test at the latest. The database gets its tables first. */
export async function served(config: ControlConfig, services: readonly ServiceName[] = everyService): Promise<Served> {
  await migrateStores(config);
  const file = join(folder(), 'log');
  const log = openLog({ destination: { file }, level: 'debug' });
  endLater(() => log.close(AbortSignal.timeout(1_000)));
  const running = await startControl(config, { services, logger: log.logger, version: '1.2.3' });
  endLater(() => running.stop(AbortSignal.abort()));
  const logText = async (): Promise<string> => {
    await log.close(AbortSignal.timeout(1_000));
    return readFileSync(file, 'utf8');
  };
  return {
    ...running,
    url: (service) => `http://127.0.0.1:${running.ports[service]}`,
    healthUrl: (service) => `http://127.0.0.1:${running.healthPorts[service]}`,
    logText,
    logged: async () =>
      (await logText())
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as LogLine),
  };
}

/** An answer, read. */
export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents of every kind.
  readonly body: any;
}

/** One request over a connection of its own; the operator's unless another token, or null for none, is given. */
export async function ask(url: string, init: RequestInit & { readonly token?: string | null } = {}): Promise<Asked> {
  const { token = await operatorToken(), headers, ...rest } = init;
  const answer = await fetch(url, {
    redirect: 'manual',
    ...rest,
    headers: {
      connection: 'close',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(rest.body === undefined || rest.body === null ? {} : { 'content-type': 'application/json' }),
      ...(headers as Record<string, string> | undefined),
    },
  });
  const text = await answer.text();
  const json = answer.headers.get('content-type')?.includes('json') === true;
  return { status: answer.status, headers: answer.headers, text, body: json ? (JSON.parse(text) as unknown) : undefined };
}

/** What a server on the way to another one does: nothing passes while it is cut. */
export interface Passage {
  readonly port: number;
  readonly cut: () => void;
  readonly mend: () => Promise<void>;
}

/** A way to a port on this machine that can be cut, as when the server there stops, and mended. */
export async function passageTo(port: number): Promise<Passage> {
  const sockets = new Set<Socket>();
  let server: Server;
  let own = 0;
  async function mend(): Promise<void> {
    server = createServer((client) => {
      const beyond = connect(port, '127.0.0.1');
      for (const [one, other] of [
        [client, beyond],
        [beyond, client],
      ] as const) {
        sockets.add(one);
        one.on('error', () => other.destroy()).on('close', () => other.destroy());
        one.pipe(other);
      }
    });
    server.listen(own, '127.0.0.1');
    await once(server, 'listening');
    own = (server.address() as AddressInfo).port;
  }
  function cut(): void {
    server.close();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  }
  await mend();
  endLater(cut);
  return { port: own, cut, mend };
}

/** A port that is taken. */
export async function takenPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  endLater(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** How many servers and connections this process has open. */
export function openThings(): number {
  return process.getActiveResourcesInfo().filter((name) => /^(TCP|TLS|Pipe)/.test(name)).length;
}
