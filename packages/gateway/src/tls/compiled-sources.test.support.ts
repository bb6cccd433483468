import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

const packages = new URL('../../../', import.meta.url);
/** What `tls` uses of the credentials: the whole package would load an HTTP client in every child. */
const credentialsModules = ['durable-files', 'unavailable'];
const compilerOptions = { module: ModuleKind.ESNext, target: ScriptTarget.ES2022, verbatimModuleSyntax: true };

/** Puts the sources of `tls`, and what they use, as JavaScript into a new folder `build`, for child processes: Node 20 does not read TypeScript. */
export async function compileTls(build: string): Promise<void> {
  const compile = async (folder: string, to: string, only: readonly string[] | null = null): Promise<void> => {
    const from = new URL(folder, packages);
    await mkdir(join(build, to), { recursive: true });
    for (const name of (await readdir(from)).filter((each) => each.endsWith('.ts') && !each.includes('.test.'))) {
      if (only !== null && !only.includes(basename(name, '.ts'))) continue;
      const { outputText } = transpileModule(await readFile(new URL(name, from), 'utf8'), { compilerOptions });
      const resolved = outputText.replaceAll(/'@sallyport\/(sdk|credentials)'/g, (_, one: string) => `'${urlOf(build, one)}'`);
      await writeFile(join(build, to, name.replace(/ts$/, 'js')), resolved);
    }
  };
  await compile('sdk/src/', 'sdk');
  await compile('credentials/src/', 'credentials', credentialsModules);
  await writeFile(join(build, 'credentials/index.js'), credentialsModules.map((name) => `export * from './${name}.js';\n`).join(''));
  await compile('gateway/src/tls/', 'tls');
  await compile('gateway/src/tls/renewal/', 'tls/renewal');
  await writeFile(join(build, 'package.json'), '{ "type": "module" }');
  // Where imports of other packages are looked for.
  await symlink(fileURLToPath(new URL('../node_modules', packages)), join(build, 'node_modules'));
}

function urlOf(build: string, name: string): string {
  return pathToFileURL(join(build, name, 'index.js')).href;
}
