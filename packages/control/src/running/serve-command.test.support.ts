import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Secret } from '@sallyport/sdk';
import type { DatabaseOptions } from '../database/open-database.js';
import type { ServiceName } from '../server/operation.js';
import { type Asked, ask, endLater, folder, operatorKey } from './running.test.support.js';

const command = fileURLToPath(new URL('../../../cli/bin/sallyport.mjs', import.meta.url));
if (!existsSync(new URL('../../../cli/dist/main.js', import.meta.url))) throw new Error('these tests run the built command: npm run build');

/** Of the log of a process that has ended by itself. */
const LINES_SHOWN = 20;

/** A process of `sallyport serve` that is ready. */
export interface ServeProcess {
  /** Where it is; throws with the end of its log when it has ended by itself. */
  readonly url: (service: ServiceName) => string;
  /** Sends the signal, and resolves with the exit code once the process is gone; null when the signal ended it. */
  readonly end: (signal: 'SIGTERM' | 'SIGKILL') => Promise<number | null>;
}

/** A configuration on disk, and processes that serve it. */
export interface Installation {
  readonly serve: (...roles: string[]) => Promise<ServeProcess>;
  /** Runs a command to its end: its exit code and what it printed. */
  readonly run: (...args: string[]) => Promise<{ readonly code: number | null; readonly output: string }>;
}

/** Writes the file that all processes of a test read. On SQLite what is committed is on disk. */
export function installation(options: DatabaseOptions, changes: Readonly<Record<string, unknown>> = {}): Installation {
  const directory = folder();
  const url = options.provider === 'postgres' ? options.url : '';
  const database =
    options.provider === 'sqlite'
      ? { provider: 'sqlite', path: options.path, synchronous: 'full' }
      : { provider: 'postgres', url: `${url instanceof Secret ? url.reveal() : url}?sslmode=disable`, max_connections: 5 };
  const control = {
    database,
    services: { public: { port: 0 }, api: { port: 0 }, admin_api: { port: 0 }, worker: { port: 0 } },
    system_auth: {
      global_key: { value: 'the material of the global key' },
      actors: [{ external_id: 'ada', public_keys: operatorKey, permissions: [{ namespace: 'root.**', resources: ['*'], verbs: ['*'] }] }],
    },
    rate_limits: { actor: { requests: 1_000_000 }, address: { requests: 1_000_000 } },
    ...changes,
  };
  const config = join(directory, 'sallyport.yaml');
  writeFileSync(config, JSON.stringify({ control }), { mode: 0o600 });

  function start(...args: string[]): ChildProcess {
    const env = { PATH: process.env.PATH ?? '', HOME: directory };
    const child = spawn(process.execPath, [command, ...args, '--config', config], { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'] });
    endLater(() => child.kill('SIGKILL'));
    return child;
  }

  async function run(...args: string[]): Promise<{ readonly code: number | null; readonly output: string }> {
    const child = start(...args);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    const code = await new Promise<number | null>((resolve) => void child.once('close', resolve));
    return { code, output };
  }

  async function serve(...roles: string[]): Promise<ServeProcess> {
    const child = start('serve', ...roles);
    const lines: string[] = [];
    let told = false;
    let over: string | undefined;
    child.stderr?.on('data', (chunk: Buffer) => void lines.push(chunk.toString()));
    const exited = new Promise<number | null>((resolve) => {
      child.once('close', (code) => {
        over = `It ended with ${code}:\n${lines.slice(-LINES_SHOWN).join('\n')}`;
        resolve(code);
      });
    });
    const ports = await new Promise<Readonly<Record<string, number>>>((resolve, reject) => {
      createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).on('line', (line) => {
        lines.push(line);
        const entry = JSON.parse(line) as { readonly msg: string } & Readonly<Record<string, number>>;
        if (entry.msg === 'The control plane is running') resolve(entry);
      });
      void exited.then(() => reject(new Error(over)));
    });
    return {
      url: (service) => {
        if (over !== undefined && !told) throw new Error(over);
        return `http://127.0.0.1:${ports[service]}`;
      },
      end: (signal) => {
        told = true;
        child.kill(signal);
        return exited;
      },
    };
  }

  return { serve, run };
}

/** How often a client that is told of a lost answer asks again before it looks for itself. */
const PENDING_ANSWERS = 2;

/**
 * A client that goes on until it has an answer: from whichever process is there, with the same idempotency key. When it is told again and again that the
 * answer is pending, because a process has died between the change and the answer, that is the answer.
 */
export async function persist(url: () => string, method: string, path: string, body: unknown, key: string): Promise<Asked> {
  const deadline = performance.now() + 60_000;
  let last: unknown;
  for (let pending = 0; performance.now() < deadline; ) {
    try {
      const headers = { 'idempotency-key': key };
      const answer = await ask(`${url()}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
      if (isPending(answer)) pending += 1;
      if (isPending(answer) ? pending >= PENDING_ANSWERS : answer.status < 500) return answer;
      last = answer.text;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      last = error;
    }
    await new Promise((resolve) => void setTimeout(resolve, 20));
  }
  throw new Error(`No answer to ${method} ${path}: ${String(last)}`);
}

/** Whether the change was made, and what was answered then is lost. */
export function isPending({ status, text }: Asked): boolean {
  return status === 409 && text.includes('"idempotency_outcome_pending"');
}
