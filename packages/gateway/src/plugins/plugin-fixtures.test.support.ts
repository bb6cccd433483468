import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type SallyportError, TransactionContext } from '@sallyport/sdk';
import { removeTemporaryDirectories, temporaryDirectory } from '../testing/temporary-directory.test.support.js';
import { createPluginHost, type PluginSettings } from './create-plugin-host.js';
import type { CredentialsAnswer, PluginHost, RequestForPlugin } from './plugin-host.js';

if (!existsSync(new URL('../../dist/plugins/plugin-thread.js', import.meta.url))) throw new Error('these tests run the built thread: npm run build');

const hosts = new Set<PluginHost>();

/** Troubles that hosts told of, in order. */
export const troubles: SallyportError[] = [];

/** Writes files into a new folder and answers the folder. */
export async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryDirectory();
  for (const [name, content] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  return folder;
}

/** A host that is closed by `closeHosts`. A minute for each call: only who tests the timeout waits for it. */
export async function hostOf(settings: Partial<PluginSettings> & Pick<PluginSettings, 'plugin'>): Promise<PluginHost> {
  const host = await createPluginHost({
    folder: '/',
    options: {},
    isolation: 'inline',
    timeoutMs: 60_000,
    loadTimeoutMs: 60_000,
    bodyLimit: 1_000,
    onTrouble: (error) => troubles.push(error),
    ...settings,
  });
  hosts.add(host);
  return host;
}

export async function closeHosts(): Promise<void> {
  await Promise.all([...hosts].map((host) => host.close()));
  hosts.clear();
  troubles.length = 0;
  await removeTemporaryDirectories();
}

export function contextOf(targetUrl = 'https://api.example.com/v1?a=1', fields: object = {}): TransactionContext {
  return new TransactionContext({ targetUrl, ...fields });
}

/** A request with a body of five bytes. */
export function requestOf(changes: Partial<RequestForPlugin> = {}): RequestForPlugin {
  return {
    method: 'POST',
    url: 'https://api.example.com/v1?a=1',
    headers: [['Accept', 'text/plain']],
    readBody: () => Promise.resolve(Buffer.from('hello')),
    ...changes,
  };
}

/** Asks for the credentials of a request to a path. */
export function ask(host: PluginHost, at = '/v1', signal: AbortSignal = new AbortController().signal): Promise<CredentialsAnswer> {
  const url = `https://api.example.com${at}`;
  return host.getCredentials(contextOf(url), requestOf({ url }), signal);
}
