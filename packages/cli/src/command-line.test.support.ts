import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../bin/sallyport.mjs', import.meta.url));
if (!existsSync(new URL('../dist/main.js', import.meta.url))) throw new Error('these tests run the built command: npm run build');

const cleanups: (() => unknown)[] = [];

/** Ends everything that was started since the last time: for `afterEach` of every file that uses this one. */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

/** How a command ended. */
interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs, with what it has printed so far. */
interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves with the first complete line of standard output that fits, printed before or yet to come. Rejects when the command ends without. */
  line(fits: (line: string) => boolean): Promise<string>;
}

/** A directory with a home in it, which goes when the test ends. */
export interface Workplace {
  readonly directory: string;
  readonly home: string;
  file(name: string, text: string, mode?: number): string;
  /** Starts the command in the directory. Of the environment of the tests only PATH is handed down. */
  start(args: readonly string[], env?: Record<string, string>): Running;
  run(args: readonly string[], env?: Record<string, string>): Promise<Ended>;
  /** Starts `serve` and waits until it runs. */
  serve(config: string, env?: Record<string, string>): Promise<Running & { readonly forward: number }>;
}

/** A new workplace. Everything that was started in it is killed at the end of the test. */
export function workplace(): Workplace {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  const home = join(directory, 'home');
  const start = (args: readonly string[], env: Record<string, string> = {}): Running => {
    const child = spawn(process.execPath, [bin, ...args], { cwd: directory, env: { PATH: process.env.PATH ?? '', HOME: home, ...env } });
    return watch(child);
  };
  return {
    directory,
    home,
    start,
    file(name, text, mode = 0o600) {
      const path = join(directory, name);
      writeFileSync(path, text, { mode });
      return path;
    },
    run: (args, env) => start(args, env).ended,
    async serve(config, env) {
      const running = start(['serve', '--config', config], env);
      const line = await running.line((text) => text.includes('"Sallyport is running"'));
      return { ...running, forward: (JSON.parse(line) as { forward: number }).forward };
    },
  };
}

function watch(child: ChildProcess): Running {
  let stdout = '';
  let stderr = '';
  let over = false;
  const waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const look of waiting.splice(0)) look();
  };
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    wake();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      over = true;
      wake();
      resolve({ code, stdout, stderr });
    });
  });
  cleanups.push(async () => {
    if (over) return;
    child.kill('SIGKILL');
    // Something that it started may hold its output open.
    child.stdout?.destroy();
    child.stderr?.destroy();
    await ended;
  });
  return {
    child,
    ended,
    line: (fits) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = stdout.split('\n').slice(0, -1).find(fits);
          if (found !== undefined) resolve(found);
          else if (over) reject(new Error(`it ended without that line:\n${stdout}\n${stderr}`));
          else waiting.push(look);
        };
        look();
      }),
  };
}

/** An HTTP server on loopback; its port. It goes when the test ends. */
export async function upstream(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** One request through a proxy on loopback: the status and the body. */
export function through(proxyPort: number, url: string, token: string | null): Promise<{ status: number; body: string }> {
  const headers = {
    Host: new URL(url).host,
    ...(token !== null && { 'Proxy-Authorization': `Basic ${Buffer.from(`test:${token}`).toString('base64')}` }),
  };
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: proxyPort, path: url, headers, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** A configuration with an upstream on loopback, one credential that is bound to it, and one caller with a token. */
export function configFor(
  port: number,
  { rules = [`allow 127.0.0.1:${port} * /** to 127.0.0.0/8`], more = {} }: { rules?: string[]; more?: object } = {},
): string {
  return JSON.stringify({
    gateway: {
      listeners: { forward: { port: 0 } },
      authority: { dir: './ca' },
      policy: { rules },
      credentials: {
        demo: {
          source: { type: 'env', var: 'DEMO_TOKEN' },
          bind: [{ hosts: [`127.0.0.1:${port}`], place: { header: 'Authorization', format: 'Bearer {secret}' }, plaintext: true }],
        },
      },
      callers: { tester: { token: callerToken, credentials: ['demo'] } },
      ...more,
    },
  });
}

/** The token of the caller in `configFor`. */
export const callerToken = 'a-token-for-the-tests-only';
