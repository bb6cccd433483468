import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

const sources = resolve(import.meta.dirname, '..');
const sdk = resolve(import.meta.dirname, '../../../sdk/src');

/** The sources as JavaScript that a process of its own can run. */
export interface Children {
  /** Runs a file of this folder until it ends, and says whether it was killed. Rejects when it fails in another way. */
  run(file: string, env: Readonly<Record<string, string>>): Promise<{ readonly killed: boolean; readonly output: string }>;
  close(): void;
}

/** Translates the sources once: Node.js 20 cannot run TypeScript. The result lies where the dependencies are found from. */
export function children(): Children {
  const base = resolve(import.meta.dirname, '../../../../node_modules/.cache');
  mkdirSync(base, { recursive: true });
  const root = mkdtempSync(join(base, 'sallyport-keys-'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  for (const folder of ['database', 'database/migrations', 'namespaces', 'audit', 'labels', 'permissions', 'keys'])
    translate(join(sources, folder), join(root, 'control', folder), root);
  translate(sdk, join(root, 'sdk'), root);

  function run(file: string, env: Readonly<Record<string, string>>): Promise<{ killed: boolean; output: string }> {
    const script = join(root, 'control/keys', file);
    const child = spawn(process.execPath, [script], { env: { PATH: process.env.PATH ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let [output, errors] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    return new Promise((done, fail) => {
      child.once('close', (code, killedBy) => {
        if (code === 0 || killedBy === 'SIGKILL') done({ killed: killedBy === 'SIGKILL', output });
        else fail(new Error(`the child failed (${code ?? killedBy}): ${errors}`));
      });
    });
  }

  return { run, close: () => rmSync(root, { recursive: true, force: true }) };
}

function translate(from: string, to: string, root: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (!entry.isFile() || !/(?<!\.test|\.d)\.ts$/.test(entry.name)) continue;
    const target = join(to, entry.name.replace(/\.ts$/, '.js'));
    const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true };
    const { outputText } = ts.transpileModule(readFileSync(join(from, entry.name), 'utf8'), { compilerOptions });
    const sdkPath = relative(dirname(target), join(root, 'sdk/index.js'));
    writeFileSync(target, outputText.replaceAll("'@sallyport/sdk'", `'./${sdkPath}'`));
  }
}
