import { statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { Plugin } from '@sallyport/sdk';
import { SallyportError } from '@sallyport/sdk';
import { clipped, HANGS_AT_IMPORT, importFault, loadFailure, placeIn } from './load-failure.js';
import { checkForwardReferences } from './plugin-answers.js';
import { pluginFile } from './plugin-file.js';
import type { LoadedPlugin } from './plugin-host.js';
import { methodsOf, shapeFault } from './plugin-shape.js';
import { readTypeScript } from './typescript.js';

/** What makes a plugin from the options of the configuration. */
export type PluginFactory = (options: Readonly<Record<string, unknown>>) => Plugin | Promise<Plugin>;

/** Where a plugin comes from, and what it is made with. */
export interface PluginSource {
  /** A path or a package, as the configuration names it; or the plugin itself. */
  readonly plugin: string | Plugin | PluginFactory;
  /** The folder of the configuration file: paths and packages are found from here. */
  readonly folder: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** How long it may take to load, in milliseconds. */
  readonly loadTimeoutMs: number;
}

/** A plugin in this thread. */
export interface PluginInThread {
  readonly plugin: Plugin;
  readonly loaded: LoadedPlugin;
}

/** What files are called that plugins are passed in from. */
const PASSED_IN = '(passed in)';

/** Under which attempt a file that failed to load is imported again: Node keeps a failure for good. */
const attempts = new Map<string, number>();

/**
 * Loads a plugin into this thread: imports it (afresh when its file has changed), makes it with its options when it exports a function, and checks
 * it. Throws `plugin_load_failed`, with the file, the line where there is one, and what to correct.
 */
export async function loadPlugin({ plugin: source, folder, options, loadTimeoutMs }: PluginSource): Promise<PluginInThread> {
  if (typeof source !== 'string') return await make(source, { name: PASSED_IN, file: null, options, loadTimeoutMs });
  const file = pluginFile(source, folder);
  readTypeScript(source, file);
  const exported = await inTime(importFile(source, file), loadTimeoutMs, source, HANGS_AT_IMPORT);
  return await make(exported, { name: source, file, options, loadTimeoutMs });
}

async function importFile(name: string, file: string): Promise<unknown> {
  const url = pathToFileURL(file);
  const { mtimeNs, size } = statSync(file, { bigint: true });
  const version = `${mtimeNs}-${size}`;
  const attempt = attempts.get(`${file} ${version}`) ?? 0;
  url.search = attempt === 0 ? version : `${version}-${attempt}`;
  try {
    const module = (await import(url.href)) as Readonly<Record<string, unknown>>;
    return defaultOf(name, module);
  } catch (error) {
    attempts.set(`${file} ${version}`, attempt + 1);
    if (error instanceof SallyportError && error.code === 'plugin_load_failed') throw error;
    throw loadFailure(name, await importFault(error, file), error);
  }
}

function defaultOf(name: string, module: Readonly<Record<string, unknown>>): unknown {
  const exported = module.default;
  if (exported === undefined) {
    const names = Object.keys(module).filter((key) => key !== 'default');
    throw loadFailure(name, `has no default export; ${names.length === 0 ? 'it exports nothing' : `it exports ${names.slice(0, 10).join(', ')}`}`);
  }
  // What a compiler makes of `export default` in a CommonJS module.
  const inner = typeof exported === 'object' && exported !== null && '__esModule' in exported && 'default' in exported ? exported.default : undefined;
  return inner ?? exported;
}

interface Making {
  readonly name: string;
  readonly file: string | null;
  readonly options: Readonly<Record<string, unknown>>;
  readonly loadTimeoutMs: number;
}

async function make(exported: unknown, { name, file, options, loadTimeoutMs }: Making): Promise<PluginInThread> {
  let plugin = exported;
  if (typeof exported === 'function') {
    if (/^class\b/.test(Function.prototype.toString.call(exported))) {
      throw loadFailure(name, 'its default export is a class; export an instance, or a function that makes one');
    }
    const called = async (): Promise<unknown> => await (exported as PluginFactory)(options);
    plugin = await inTime(called(), loadTimeoutMs, name, 'when its function was called').catch((error: unknown) => {
      throw error instanceof SallyportError && error.code === 'plugin_load_failed' ? error : factoryFailure(name, error);
    });
  } else if (Object.keys(options).length > 0) {
    throw loadFailure(name, 'takes no options: its default export is not a function; export one that gets them and answers the plugin');
  }
  const fault = shapeFault(plugin);
  const subject = typeof exported === 'function' ? 'what its function answers' : file === null ? 'it' : 'its default export';
  if (fault !== null) throw loadFailure(name, `${subject} ${fault}`);
  const checked = plugin as Plugin;
  return { plugin: checked, loaded: { name, file, methods: methodsOf(checked), forwardReferences: forwardReferences(name, checked) } };
}

function factoryFailure(name: string, error: unknown): SallyportError {
  if (!(error instanceof Error)) return loadFailure(name, `its function threw a ${typeof error}`, error);
  const place = placeIn(error.stack);
  return loadFailure(name, `its function threw${place === null ? '' : ` (${place})`}: ${clipped(`${error.name}: ${error.message}`)}`, error);
}

function forwardReferences(name: string, plugin: Plugin): readonly string[] | null {
  if (plugin.forwardReferences === undefined) return null;
  try {
    return checkForwardReferences(plugin.forwardReferences());
  } catch (error) {
    const what = error instanceof Error ? clipped(error.message) : 'something that is not an error';
    throw loadFailure(name, error instanceof SallyportError ? what : `forwardReferences threw: ${what}`, error);
  }
}

/** Gives up on a plugin that does not finish loading. What it does later is ignored. */
async function inTime<T>(work: Promise<T>, timeoutMs: number, name: string, when: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(loadFailure(name, `did not finish within ${timeoutMs / 1000} s ${when}`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
