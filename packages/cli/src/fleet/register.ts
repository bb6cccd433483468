import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, ifPresent, placeFile } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { parse, stringify } from 'yaml';
import { homeDirectory } from '../config-file.js';
import { withFileLock } from './file-lock.js';
import { addressOf, checkToken, type Instance, instanceName, instanceUrl, type TokenReference } from './instance.js';

const LARGEST = 1024 * 1024;
const MOST = 500;

/** Where the instances are registered. */
export function registerPath(): string {
  return join(homeDirectory(), 'fleet.yaml');
}

/** Every registered instance, in the order of registration. Errors: `fleet_register_failed`. */
export async function readRegister(path: string): Promise<readonly Instance[]> {
  const text = await onDisk(readIfPresent(path), `${path} cannot be read`);
  if (text === null) return [];
  let content: unknown;
  try {
    content = parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw damaged(path, error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'it is not YAML');
  }
  if (content === null) return [];
  const { instances = {}, ...others } = record(content) ?? { damaged: true };
  const [unknown] = Object.keys(others);
  const entries = record(instances);
  if (unknown !== undefined || entries === null) throw damaged(path, 'it holds something else than a mapping named "instances"');
  return Object.entries(entries).map(([name, entry]) => readInstance(path, name, entry));
}

/** Errors: `fleet_instance_exists` for a name or an address that is there, `fleet_invalid`, `fleet_register_failed`. */
export async function addInstance(path: string, instance: Instance): Promise<void> {
  checkToken(instance);
  await change(path, (instances) => {
    const same = instances.find(({ name, url }) => name === instance.name || addressOf({ url }) === addressOf(instance));
    if (same !== undefined) {
      const what = same.name === instance.name ? `An instance named ${same.name}` : `An instance with the address ${addressOf(same)}, ${same.name},`;
      throw new SallyportError('fleet_instance_exists', { detail: `${what} is registered already.` });
    }
    if (instances.length >= MOST)
      throw new SallyportError('fleet_register_failed', { detail: `There are ${MOST} instances already, which is the most.` });
    return [...instances, instance];
  });
}

/** Errors: `fleet_instance_unknown`, `fleet_register_failed`. */
export async function removeInstance(path: string, name: string): Promise<void> {
  await change(path, (instances) => {
    const left = instances.filter((instance) => instance.name !== name);
    if (left.length < instances.length) return left;
    const known = instances.map((instance) => instance.name).join(', ');
    throw new SallyportError('fleet_instance_unknown', {
      detail: `No instance is named ${JSON.stringify(name)}.`,
      ...(known !== '' && { hint: `These are registered: ${known}.` }),
    });
  });
}

/** Reads, changes and writes under the lock, so that two changes at once are both kept. */
async function change(path: string, changed: (instances: readonly Instance[]) => readonly Instance[]): Promise<void> {
  const work = async (): Promise<void> => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await withFileLock(`${path}.lock`, async () => {
      await placeFile(path, formatted(changed(await readRegister(path))), { replace: true });
    });
  };
  await onDisk(work(), `${path} cannot be written`);
}

function formatted(instances: readonly Instance[]): string {
  const entries = instances.map(({ name, url, ca, token }) => [name, { url, ...(ca !== null && { ca }), ...(token !== null && { token }) }] as const);
  const text = stringify({ instances: Object.fromEntries(entries) });
  return `# The instances that \`sallyport fleet\` looks at. Tokens are named here, never written.\n${text}`;
}

function readInstance(path: string, name: string, entry: unknown): Instance {
  const { url, ca = null, token = null, ...others } = record(entry) ?? {};
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw damaged(path, `the instance ${JSON.stringify(name)} has an unknown key ${JSON.stringify(unknown)}`);
  if (typeof url !== 'string' || (ca !== null && typeof ca !== 'string') || !isTokenReference(token)) {
    throw damaged(path, `the instance ${JSON.stringify(name)} needs a url, and may have a ca (a path) and a token ({ env: NAME } or { file: PATH })`);
  }
  try {
    const instance = { name: instanceName(name), url: instanceUrl(url), ca, token };
    checkToken(instance);
    return instance;
  } catch (error) {
    throw damaged(path, error instanceof Error ? error.message.replace(/\.$/, '') : '');
  }
}

function isTokenReference(value: unknown): value is TokenReference | null {
  if (value === null) return true;
  const entries = Object.entries(record(value) ?? {});
  return entries.length === 1 && entries.every(([kind, text]) => (kind === 'env' || kind === 'file') && typeof text === 'string' && text !== '');
}

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}

function damaged(path: string, why: string): SallyportError {
  return new SallyportError('fleet_register_failed', {
    detail: `${path} cannot be used: ${why}.`,
    hint: 'Correct the file, or move it away and begin anew.',
  });
}

async function readIfPresent(path: string): Promise<string | null> {
  const file = await ifPresent(open(path, 'r'));
  if (file === null) return null;
  try {
    const { mode, size } = await file.stat();
    // Whoever can write it can have tokens sent anywhere.
    if ((mode & 0o022) !== 0) {
      throw new SallyportError('fleet_register_failed', { detail: `Others can write to ${path}.`, hint: `Look at it, then run: chmod 600 ${path}` });
    }
    if (size > LARGEST) throw damaged(path, 'it is larger than 1 MiB');
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

async function onDisk<T>(operation: Promise<T>, problem: string): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    if (error instanceof SallyportError) throw error;
    throw new SallyportError('fleet_register_failed', { detail: `${problem} (${errorCode(error)}).`, cause: error });
  }
}
