import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

const sources = resolve(import.meta.dirname, '../..');
const sdk = resolve(import.meta.dirname, '../../../../sdk/src');

/** Folders of this package (and the sdk) as JavaScript below `root/control` and `root/sdk`: Node.js 20 cannot run TypeScript. */
export function translateSources(folders: readonly string[], root: string): void {
  for (const folder of folders) translate(join(sources, folder), join(root, 'control', folder), root);
  translate(sdk, join(root, 'sdk'), root);
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
