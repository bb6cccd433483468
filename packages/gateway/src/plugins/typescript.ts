import module from 'node:module';
import path from 'node:path';
import { loadFailure } from './load-failure.js';
import { typeStripper } from './type-stripper.js';

// From the sources, as in tests, the compiled file is taken too: a loader is run by Node itself, which may not know TypeScript.
const hooks = new URL('../../dist/plugins/typescript-hooks.js', import.meta.url);
/** Whether Node strips types by itself: `'strip'` or `'transform'` where it does. */
const readsTypeScript = typeof Reflect.get(process.features, 'typescript') === 'string';
let registered = false;

/**
 * Sees to it that a plugin in TypeScript can be imported. Node 22.18 and newer can by themselves; for older ones the types are stripped by whichever
 * tool is installed next to the plugin. Throws `plugin_load_failed` when there is none.
 */
export function readTypeScript(name: string, file: string): void {
  if (!path.extname(file).endsWith('ts') || readsTypeScript) return;
  if (typeStripper(file) === null) {
    const folder = path.dirname(file);
    const remedy = `run \`npm install amaro\` in ${folder}, use Node 22.18 or newer, or compile it to JavaScript`;
    throw loadFailure(name, `Node ${process.versions.node} does not read TypeScript; ${remedy}`);
  }
  if (registered) return;
  registered = true;
  module.register(hooks);
}
