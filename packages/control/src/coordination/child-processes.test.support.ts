import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { translateSources } from '../database/testing/translate-sources.test.support.js';

/** A process of its own that does what it is told. */
export interface Child {
  /** Sends a request and answers what the process says to it. */
  ask(...request: readonly unknown[]): Promise<unknown>;
  /** Kills it without warning. */
  kill(): Promise<void>;
}

/** The sources of this folder as JavaScript that processes of their own can run. */
export interface Children {
  start(file: string, env: Readonly<Record<string, string>>): Child;
  close(): Promise<void>;
}

/** Translates the sources once: Node.js 20 cannot run TypeScript. The result lies where the dependencies are found from. */
export function children(): Children {
  const base = resolve(import.meta.dirname, '../../../../node_modules/.cache');
  mkdirSync(base, { recursive: true });
  const root = mkdtempSync(join(base, 'sallyport-coordination-'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  translateSources(['database', 'database/migrations', 'coordination'], root);
  const started: Child[] = [];

  function start(file: string, env: Readonly<Record<string, string>>): Child {
    const script = join(root, 'control/coordination', file);
    const child = spawn(process.execPath, [script], { env: { PATH: process.env.PATH ?? '', ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
    const made = conversation(child);
    started.push(made);
    return made;
  }

  return {
    start,
    close: async () => {
      for (const child of started) await child.kill();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** One line of JSON for each request and each answer, in the same order. */
function conversation(child: ChildProcess): Child {
  const waiting: { readonly resolve: (answer: unknown) => void; readonly reject: (error: Error) => void }[] = [];
  const exited = new Promise<void>((done) => {
    child.once('exit', () => {
      for (const { reject } of waiting.splice(0)) reject(new Error('The process ended.'));
      done();
    });
  });
  if (child.stdout === null) throw new Error('The process has no output.');
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(JSON.parse(line)));
  return {
    ask: (...request) =>
      new Promise((answered, reject) => {
        waiting.push({ resolve: answered, reject });
        child.stdin?.write(`${JSON.stringify(request)}\n`);
      }),
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
