import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { kindOf } from './field-rules.js';
import { loadFailure } from './load-failure.js';

const extensions = ['.js', '.mjs', '.cjs', '.ts', '.mts'];

/** The conditions under which an ES module is looked for in the `exports` of a package. */
const conditions: ReadonlySet<string> = new Set(['node', 'import', 'module-sync', 'default']);
const DEEPEST_CONDITION = 16;

/**
 * The file that a plugin is in: `./`, `../` and absolute paths are taken from `folder`, everything else is a package that is installed there or
 * above. Throws `plugin_load_failed`.
 */
export function pluginFile(name: string, folder: string): string {
  if (name.startsWith('./') || name.startsWith('../') || path.isAbsolute(name)) return fileAt(name, path.resolve(folder, name));
  return packageFile(name, folder);
}

function fileAt(name: string, file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) {
    const stem = file.slice(0, file.length - path.extname(file).length);
    const sibling = extensions.map((extension) => stem + extension).find((other) => other !== file && existsSync(other));
    throw loadFailure(name, `there is no file ${file}${sibling === undefined ? '' : `; did you mean ${path.basename(sibling)}?`}`);
  }
  if (!stats.isFile()) throw loadFailure(name, `${file} is not a file`);
  if (!extensions.includes(path.extname(file))) throw loadFailure(name, `${file} is not a module; its name should end in ${extensions.join(', ')}`);
  return file;
}

function packageFile(name: string, folder: string): string {
  const [, packageName, subpath] = /^((?:@[^/]+\/)?[^@/.][^/]*)(?:\/(.+))?$/.exec(name) ?? [];
  if (packageName === undefined) throw loadFailure(name, 'this is neither a path that begins with ./ nor the name of a package');
  const require = createRequire(path.join(path.resolve(folder), 'plugin.js'));
  const home = (require.resolve.paths(packageName) ?? []).map((modules) => path.join(modules, packageName)).find((at) => existsSync(at));
  if (home === undefined) {
    const beside = existsSync(path.resolve(folder, name)) ? `; for the file write ./${name}` : '';
    throw loadFailure(name, `no package of this name is installed in ${path.resolve(folder)} or above${beside}`);
  }
  const exports = packageExports(name, home);
  try {
    if (exports === undefined) return require.resolve(path.join(home, subpath ?? ''));
    return fileAt(name, path.join(home, exported(name, exports, subpath === undefined ? '.' : `./${subpath}`)));
  } catch (error) {
    throw loadFailure(name, `the package in ${home} has no module that can be imported under this name`, error);
  }
}

function packageExports(name: string, home: string): unknown {
  try {
    const manifest: unknown = JSON.parse(readFileSync(path.join(home, 'package.json'), 'utf8'));
    return (manifest as { exports?: unknown } | null)?.exports;
  } catch (error) {
    throw loadFailure(name, `${path.join(home, 'package.json')} cannot be read as JSON`, error);
  }
}

/** The file that `exports` names for an entry, as an `import` would see it; patterns with `*` are not looked into. */
function exported(name: string, exports: unknown, entry: string): string {
  const perEntry = typeof exports === 'object' && exports !== null && Object.keys(exports).some((key) => key.startsWith('.'));
  let target: unknown = perEntry ? (exports as Record<string, unknown>)[entry] : entry === '.' ? exports : undefined;
  for (let depth = 0; typeof target === 'object' && target !== null && depth < DEEPEST_CONDITION; depth++) {
    target = Array.isArray(target) ? (target as unknown[])[0] : Object.entries(target).find(([condition]) => conditions.has(condition))?.[1];
  }
  if (typeof target === 'string' && target.startsWith('./')) return target;
  throw loadFailure(name, `its exports lead to ${kindOf(target)} for ${entry}`);
}
