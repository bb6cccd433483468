import { open } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { didYouMean, errorCode, ifPresent, nearestWords } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { homeDirectory } from '../config-file.js';
import { parseServerUrl } from './server-url.js';
import { type ServerName, serverNames } from './services.js';

/** What a client configuration says: who asks, with which key, and whom. Everything may be missing; paths are absolute. */
export interface ClientConfig {
  /** The file, or null when there is none. */
  readonly file: string | null;
  readonly server: Readonly<Partial<Record<ServerName, URL>>>;
  readonly actor?: string;
  readonly namespace?: string;
  readonly private_key?: string;
  readonly secret_key?: string;
  readonly issuer?: string;
  readonly key_id?: string;
  readonly ca?: string;
  readonly plaintext?: boolean;
  readonly signing_proxy_port?: number;
}

const LARGEST = 64 * 1024;

/** How the keys of this file are called by those who come from AuthProxy; camel case is understood everywhere. */
const olderSpellings: Readonly<Record<string, string>> = {
  admin_username: 'actor',
  admin_private_key_path: 'private_key',
  admin_shared_key_path: 'secret_key',
  auth: 'public',
};

const texts = ['actor', 'namespace', 'issuer', 'key_id'] as const;
const paths = ['private_key', 'secret_key', 'ca'] as const;
const keys = [...texts, ...paths, 'server', 'plaintext', 'signing_proxy'];

/** `~/.sallyport.yaml`: where `sallyport login` writes. */
export function usualClientConfig(): string {
  return join(dirname(homeDirectory()), '.sallyport.yaml');
}

/**
 * Reads the file that is named, SALLYPORT_CLIENT_CONFIG, `~/.sallyport.yaml` or `~/.authproxy.yaml`: the first of these. What is named has to be there;
 * that none of the others is there is no error. Errors: `client_config_invalid` with every place that is wrong, also when others can write to the file,
 * since whoever can has tokens sent to a server of theirs.
 */
export async function readClientConfig(named: string | undefined, env: NodeJS.ProcessEnv = process.env): Promise<ClientConfig> {
  const given = [named, env.SALLYPORT_CLIENT_CONFIG].find((path) => path !== undefined && path !== '');
  const candidates = given === undefined ? [usualClientConfig(), join(dirname(homeDirectory()), '.authproxy.yaml')] : [resolve(given)];
  for (const file of candidates) {
    const text = await readIfPresent(file);
    if (text !== null) return parseClientConfig(text, file);
  }
  if (given !== undefined) throw new SallyportError('client_config_invalid', { detail: `${candidates[0]} is not there.` });
  return { file: null, server: {} };
}

/** The text of a file that is there. Errors: `client_config_invalid`. */
export async function readIfPresent(file: string): Promise<string | null> {
  try {
    const handle = await ifPresent(open(file, 'r'));
    if (handle === null) return null;
    try {
      const { mode, size } = await handle.stat();
      if ((mode & 0o022) !== 0) {
        throw new SallyportError('client_config_invalid', {
          detail: `Others can write to ${file}.`,
          hint: `Look at it, then run: chmod 600 ${file}`,
        });
      }
      if (size > LARGEST) throw new SallyportError('client_config_invalid', { detail: `${file} is larger than 64 KiB.` });
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof SallyportError) throw error;
    throw new SallyportError('client_config_invalid', { detail: `${file} cannot be read (${errorCode(error)}).`, cause: error });
  }
}

/** What the text says. Errors: `client_config_invalid`, with file, line and column of every place. */
export function parseClientConfig(text: string, file: string): ClientConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problems: { readonly offset: number; readonly message: string }[] = [];
  const wrong = (offset: number, message: string): void => void problems.push({ offset, message });
  for (const { pos, message } of document.errors) wrong(pos[0], message.split(/ at line |\n/)[0] ?? message);

  const read: { -readonly [Key in keyof ClientConfig]: ClientConfig[Key] } = { file, server: {} };
  const root: unknown = document.contents;
  // A problem of YAML may have left half a document.
  if (problems.length === 0 && root !== null) {
    for (const [key, value, at] of entriesOf(root, keys, '', wrong)) {
      if (key === 'server') read.server = servers(value, wrong);
      else if (key === 'signing_proxy') readPort(value, read, wrong);
      else if (key === 'plaintext') {
        if (isScalar(value) && typeof value.value === 'boolean') read.plaintext = value.value;
        else wrong(at, `${key} is true or false`);
      } else {
        const string = textOf(value);
        if (string === null) wrong(offsetOf(value) ?? at, `${key} is a text that is not empty`);
        else if (isOneOf(key, paths)) read[key] = absolute(string, dirname(file));
        else if (isOneOf(key, texts)) read[key] = string;
      }
    }
    if (read.private_key !== undefined && read.secret_key !== undefined) wrong(0, 'private_key and secret_key are both there; name one of them');
  }
  if (problems.length === 0) return read;
  const places = problems.map(({ offset, message }) => {
    const { line, col } = lines.linePos(offset);
    return `  ${file}:${line}:${col}  ${message}`;
  });
  throw new SallyportError('client_config_invalid', { detail: `The client configuration is not valid.\n${places.join('\n')}` });
}

type Wrong = (offset: number, message: string) => void;

function servers(node: unknown, wrong: Wrong): ClientConfig['server'] {
  const found: Partial<Record<ServerName, URL>> = {};
  for (const [key, value, at] of entriesOf(node, serverNames, 'server.', wrong)) {
    const parsed = parseServerUrl(textOf(value) ?? '');
    if ('problem' in parsed) wrong(offsetOf(value) ?? at, `server.${key} ${parsed.problem}`);
    else if (isOneOf(key, serverNames)) found[key] = parsed.url;
  }
  return found;
}

function readPort(node: unknown, read: { signing_proxy_port?: number }, wrong: Wrong): void {
  for (const [, value, at] of entriesOf(node, ['port'], 'signing_proxy.', wrong)) {
    const port = isScalar(value) ? value.value : undefined;
    if (typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65535) read.signing_proxy_port = port;
    else wrong(offsetOf(value) ?? at, 'signing_proxy.port is a number from 0 to 65535');
  }
}

/** The known keys of a mapping, in the spelling of today, each once. */
function* entriesOf(node: unknown, known: readonly string[], prefix: string, wrong: Wrong): Generator<readonly [string, unknown, number]> {
  if (!isMap(node)) {
    wrong(offsetOf(node) ?? 0, `${prefix === '' ? 'the file' : prefix.slice(0, -1)} is a mapping of keys to values`);
    return;
  }
  const seen = new Set<string>();
  for (const { key: keyNode, value } of node.items) {
    const at = offsetOf(keyNode) ?? 0;
    const written = textOf(keyNode) ?? '';
    const key = todaysSpelling(written);
    if (!known.includes(key)) wrong(at, `unknown key ${JSON.stringify(prefix + written)}${didYouMean(nearestWords(key, known))}`);
    else if (seen.has(key)) wrong(at, `${prefix}${written} says again what another key has said`);
    else {
      seen.add(key);
      yield [key, value, at];
    }
  }
}

/** A key in snake case and as it is called here. */
export function todaysSpelling(key: string): string {
  const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return olderSpellings[snake] ?? snake;
}

/** `~` is the home of whoever calls; other paths that are not absolute are seen from `folder`. */
export function absolute(path: string, folder: string): string {
  return /^~(?=\/|$)/.test(path) ? join(dirname(homeDirectory()), path.slice(1)) : resolve(folder, path);
}

function textOf(node: unknown): string | null {
  return isScalar(node) && typeof node.value === 'string' && node.value.trim() !== '' ? node.value : null;
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

function isOneOf<Name extends string>(name: string, names: readonly Name[]): name is Name {
  return (names as readonly string[]).includes(name);
}
