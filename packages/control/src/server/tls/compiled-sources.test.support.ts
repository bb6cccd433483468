import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

const packages = resolve(import.meta.dirname, '../../../..');
const compilerOptions = { module: ModuleKind.ESNext, target: ScriptTarget.ES2022, verbatimModuleSyntax: true };
const sources = {
  sdk: ['sdk/src', ['error-catalogue', 'errors', 'secret']],
  credentials: ['credentials/src', ['durable-files', 'unavailable']],
  tls: ['control/src/server/tls', ['stored-certificate', 'served-certificate']],
} as const;

/** Puts what stores certificates, as JavaScript, into the folder `build`, for child processes: Node 20 does not read TypeScript. */
export async function compileCertificateStorage(build: string): Promise<void> {
  for (const [to, [from, names]] of Object.entries(sources)) {
    await mkdir(join(build, to), { recursive: true });
    for (const name of names) {
      const target = join(build, to, `${name}.js`);
      const { outputText } = transpileModule(await readFile(join(packages, from, `${name}.ts`), 'utf8'), { compilerOptions });
      const resolved = outputText.replaceAll(/'@sallyport\/(sdk|credentials)'/g, (_, one: string) => {
        return `'./${relative(dirname(target), join(build, one, 'index.js'))}'`;
      });
      await writeFile(target, resolved);
    }
    await writeFile(join(build, to, 'index.js'), names.map((name) => `export * from './${name}.js';\n`).join(''));
  }
  await writeFile(join(build, 'package.json'), '{ "type": "module" }');
  await symlink(resolve(packages, '../node_modules'), join(build, 'node_modules'));
}
