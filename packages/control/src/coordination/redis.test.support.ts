import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
const program = directories.map((directory) => join(directory, 'redis-server')).find((path) => existsSync(path));

/** Whether tests with a real Redis can run here; says how to get it when not. */
export const hasRedis = program !== undefined;
if (!hasRedis) console.warn('skipped: redis-server is not installed (get it from the Debian package redis-server)');

/** A Redis on this machine, which can be killed and started again on its port, without what was in it. */
export interface TestRedis {
  readonly port: number;
  /** Kills it without warning. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** It answers nobody until it is told to continue. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** Starts one. `args` are put behind those that it gets anyway; `tls` makes its only port one for TLS. */
export async function startRedis(args: readonly string[] = [], tls = false): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-redis-'));
  const port = await freePort();
  const ports = tls ? ['--port', '0', '--tls-port', String(port)] : ['--port', String(port)];
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const fixed = ['--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'];
    const started = spawn(program ?? '', [...ports, ...fixed, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    child = started;
    await new Promise<void>((resolve, reject) => {
      let output = '';
      started.once('exit', () => reject(new Error(`Redis does not start:\n${output}`)));
      started.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.includes('Ready to accept connections')) resolve();
      });
    });
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running === undefined) return;
    const exited = new Promise((resolve) => {
      running.once('exit', resolve);
    });
    running.kill('SIGKILL');
    await exited;
  }

  await start();
  return {
    port,
    kill,
    start,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    stop: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
