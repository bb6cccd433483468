import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import { isMap, isScalar, parseDocument } from 'yaml';

/** The least configuration that does something: what the command shows to who has none. */
export const minimalConfig = `gateway:
  listeners:
    forward: { port: 9080 }
  policy:
    rules:
      - allow api.github.com
  credentials:
    github:
      source: { type: env, var: GITHUB_TOKEN }
      bind: [{ hosts: [api.github.com], place: { header: Authorization, format: "Bearer {secret}" } }]
  callers:
    local: { loopback: true, credentials: [github] }
`.trimEnd();

/** The directory of a user's own files, which is not made here. */
export function homeDirectory(): string {
  return join(process.env.HOME || homedir(), '.sallyport');
}

/**
 * The absolute path of the configuration: what was given, SALLYPORT_CONFIG, CHAPERONE_CONFIG, ./sallyport.yaml, ~/.sallyport/sallyport.yaml, and
 * ./config.yaml if it is that of a Chaperone, in this order. What somebody named need not be there; null when nothing was named and none of the usual
 * places has a file.
 */
export function findConfig(given: string | undefined): string | null {
  const named = [given, process.env.SALLYPORT_CONFIG, process.env.CHAPERONE_CONFIG].find((path) => path !== undefined && path !== '');
  if (named !== undefined) return resolve(named);
  const own = [resolve('sallyport.yaml'), join(homeDirectory(), 'sallyport.yaml')].find((path) => existsSync(path));
  return own ?? (isChaperones(resolve('config.yaml')) ? resolve('config.yaml') : null);
}

/** `config.yaml` is the name of many a file: only one with the sections of a Chaperone is meant for us. */
function isChaperones(path: string): boolean {
  try {
    const text = readFileSync(path, 'utf8');
    return /^upstream:/m.test(text) && !/^(?:gateway|control):/m.test(text);
  } catch {
    return false;
  }
}

/** As `findConfig`; `config_not_found` with an example of a configuration when there is none. */
export function requireConfig(given: string | undefined): string {
  const path = findConfig(given);
  if (path !== null) return path;
  throw new SallyportError('config_not_found', {
    detail: `There is no configuration: neither ${resolve('sallyport.yaml')} nor ${join(homeDirectory(), 'sallyport.yaml')} is there.`,
    hint: `Name one with --config or SALLYPORT_CONFIG, or write sallyport.yaml, for example:\n\n${minimalConfig}`,
  });
}

/** The names of the sections in a file; none when it cannot be read, which whoever reads it in earnest will say. */
export async function sectionsOf(path: string): Promise<ReadonlySet<string>> {
  try {
    const { contents } = parseDocument(await readFile(path, 'utf8'));
    return new Set(isMap(contents) ? contents.items.flatMap(({ key }) => (isScalar(key) ? [String(key.value)] : [])) : []);
  } catch {
    return new Set();
  }
}
