import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { delimiter, join, resolve } from 'node:path';
import { makeSelfSigned } from '../self-signed-certificate.js';
import { endLater, temporaryFolder } from '../tls-scene.test.support.js';

const cache = resolve(import.meta.dirname, '../../../../../../.cache/pebble');
const found = [cache, ...(process.env.PATH ?? '').split(delimiter)].find((folder) =>
  ['pebble', 'pebble-challtestsrv'].every((program) => existsSync(join(folder, program))),
);

/** Whether Pebble is here. When it is not, a line says how to get it. */
export const hasPebble = found !== undefined;
if (!hasPebble) {
  const modules = ['pebble', 'pebble-challtestsrv'].map((name) => `github.com/letsencrypt/pebble/v2/cmd/${name}@latest`).join(' ');
  console.warn(`Pebble is not installed: the tests against an ACME server are skipped. GOBIN=${cache} GOFLAGS=-mod=mod go install ${modules}`);
}

/** The key that Pebble wants accounts to be bound to where `eab` is set. */
export const eabKey = { kid: 'kid-1', hmac: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W' };

export interface PebbleOptions {
  /** Whether accounts have to be bound. */
  readonly eab?: boolean;
  /** How many of a hundred nonces are refused at random. */
  readonly badNonces?: number;
}

/** A real ACME server that finds every host on this machine. */
export interface Pebble {
  readonly directoryUrl: string;
  /** A PEM file with what its own certificate leads to. */
  readonly ca: string;
  /** Where it asks for challenges. */
  readonly httpPort: number;
  /** How often a path such as `/order-plz` was called. */
  called(path: string): number;
  /** The root that its certificates lead to, PEM. */
  root(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts one; it is gone after the test. */
export async function startPebble({ eab = false, badNonces = 0 }: PebbleOptions = {}): Promise<Pebble> {
  const folder = await temporaryFolder();
  const [listen, management, httpPort, tlsPort, dns] = await freePorts(5);
  const { cert, key } = await makeSelfSigned(['localhost', '127.0.0.1'], 24 * 3_600_000);
  const at = (name: string): string => join(folder, name);
  await writeFile(at('pebble.crt'), cert);
  await writeFile(at('pebble.key'), key, { mode: 0o600 });
  const config = {
    listenAddress: `127.0.0.1:${listen}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: at('pebble.crt'),
    privateKey: at('pebble.key'),
    httpPort,
    tlsPort,
    ocspResponderURL: '',
    externalAccountBindingRequired: eab,
    externalAccountMACKeys: { [eabKey.kid]: eabKey.hmac },
    domainBlocklist: ['blocked.example.com'],
    retryAfter: { authz: 1, order: 1 },
    keyAlgorithm: 'ecdsa',
    profiles: { default: { description: 'for tests', validityPeriod: 90 * 24 * 3600 } },
  };
  await writeFile(at('config.json'), JSON.stringify({ pebble: config }));
  const off = ['-http01', '', '-https01', '', '-tlsalpn01', '', '-doh', ''];
  const dnsArgs = ['-defaultIPv4', '127.0.0.1', '-defaultIPv6', '', '-dnsserver', `127.0.0.1:${dns}`, '-management', '127.0.0.1:0', ...off];
  await start('pebble-challtestsrv', dnsArgs, {}, /Starting challenge servers|Starting management/i);
  const env = { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: String(badNonces) };
  const server = await start(
    'pebble',
    ['-config', at('config.json'), '-dnsserver', `127.0.0.1:${dns}`, '-strict=false'],
    env,
    /ACME directory available/,
  );
  return {
    directoryUrl: `https://localhost:${listen}/dir`,
    ca: at('pebble.crt'),
    httpPort,
    called: (path) => server.output().split(`POST ${path} `).length - 1,
    async root() {
      const { Agent, request } = await import('undici');
      const dispatcher = new Agent({ connect: { ca: cert } });
      const { body } = await request(`https://localhost:${management}/roots/0`, { dispatcher });
      const text = await body.text();
      await dispatcher.destroy();
      return text;
    },
    stop: () => server.stop(),
  };
}

async function start(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  ready: RegExp,
): Promise<{ output(): string; stop(): Promise<void> }> {
  const child: ChildProcess = spawn(join(found ?? '', program), [...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  let output = '';
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  endLater(stop);
  await new Promise<void>((done, fail) => {
    const hear = (chunk: Buffer): void => {
      output += chunk.toString();
      if (ready.test(output)) done();
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('exit', () => fail(new Error(`${program} ended: ${output}`)));
  });
  return { output: () => output, stop };
}

async function freePorts(count: number): Promise<readonly [number, number, number, number, number]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = ports;
  return [a, b, c, d, e];
}
