import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { translateSources } from './translate-sources.test.support.js';

const cache = resolve(import.meta.dirname, '../../../../../node_modules/.cache');

/** Processes of their own that run files of one domain. */
export interface Children {
  /** Runs a file of the domain until it ends, and says whether it was killed. Rejects when it fails in another way. */
  run(file: string, env: Readonly<Record<string, string>>): Promise<{ readonly killed: boolean; readonly output: string }>;
  /** Kills what still runs, and removes the files. */
  close(): void;
}

/** Translates the domain and the folders that it uses once. The result lies where the dependencies are found from. */
export function childrenOf(domain: string, folders: readonly string[]): Children {
  mkdirSync(cache, { recursive: true });
  const root = mkdtempSync(join(cache, `sallyport-${domain}-`));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  translateSources([...folders, domain], root);
  const running = new Set<ChildProcess>();

  function run(file: string, env: Readonly<Record<string, string>>): Promise<{ killed: boolean; output: string }> {
    const script = join(root, 'control', domain, file);
    const child = spawn(process.execPath, [script], { env: { PATH: process.env.PATH ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    let [output, errors] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    return new Promise((done, fail) => {
      child.once('close', (code, killedBy) => {
        running.delete(child);
        if (code === 0 || killedBy === 'SIGKILL') done({ killed: killedBy === 'SIGKILL', output });
        else fail(new Error(`the child failed (${code ?? killedBy}): ${errors}`));
      });
    });
  }

  function close(): void {
    for (const child of running) child.kill('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  }

  return { run, close };
}
