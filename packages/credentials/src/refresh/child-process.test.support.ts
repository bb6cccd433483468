import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

const sources = resolve(import.meta.dirname, '..');
const sdk = resolve(import.meta.dirname, '../../../sdk/src');

/** The sources as JavaScript that a process of its own can run, and the processes that do. */
export interface Children {
  /** Runs a file of the sources until it ends. Rejects when it fails otherwise than by a kill. */
  run(file: string, env: Readonly<Record<string, string>>): Promise<ChildEnd>;
  /** The same, with the means to kill it. */
  start(file: string, env: Readonly<Record<string, string>>): RunningChild;
  close(): void;
}

interface ChildEnd {
  readonly killed: boolean;
  readonly output: string;
}

interface RunningChild {
  readonly ended: Promise<ChildEnd>;
  /** kill -9. */
  kill(): void;
}

/**
 * Translates the sources once. Node.js 20 cannot run TypeScript, and what was built last may be older than the sources. The result lies where the
 * dependencies are found from.
 */
export function children(): Children {
  const base = resolve(import.meta.dirname, '../../../../node_modules/.cache');
  mkdirSync(base, { recursive: true });
  const root = mkdtempSync(join(base, 'sallyport-children-'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  translate(sources, join(root, 'credentials'), root);
  translate(sdk, join(root, 'sdk'), root);

  function start(file: string, env: Readonly<Record<string, string>>): RunningChild {
    const script = join(root, 'credentials', relative(sources, file).replace(/\.ts$/, '.js'));
    const child = spawn(process.execPath, [script], { env: { PATH: process.env.PATH ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const ended = new Promise<ChildEnd>((done, fail) => {
      child.once('close', (code, killedBy) => {
        if (code === 0 || killedBy === 'SIGKILL') done({ killed: killedBy === 'SIGKILL', output });
        else fail(new Error(`the child failed (${code ?? killedBy}): ${errors}`));
      });
    });
    return { ended, kill: () => void child.kill('SIGKILL') };
  }

  return { start, run: (file, env) => start(file, env).ended, close: () => rmSync(root, { recursive: true, force: true }) };
}

function translate(from: string, to: string, root: string): void {
  for (const entry of readdirSync(from, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !/(?<!\.test|\.d)\.ts$/.test(entry.name)) continue;
    const source = join(entry.parentPath, entry.name);
    const target = join(to, relative(from, source)).replace(/\.ts$/, '.js');
    const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true };
    const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), { compilerOptions });
    mkdirSync(dirname(target), { recursive: true });
    const sdkPath = relative(dirname(target), join(root, 'sdk/index.js'));
    writeFileSync(target, outputText.replaceAll("'@sallyport/sdk'", `'./${sdkPath}'`));
  }
}
