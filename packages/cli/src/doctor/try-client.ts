import { spawn } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, expected } from './clients.js';

/** How one client fared. */
export interface ClientResult {
  readonly client: string;
  readonly version: string | null;
  readonly result: 'ok' | 'failed' | 'not installed';
  /** The last line that a client that failed has printed. */
  readonly said?: string;
  readonly fix?: string;
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

const TIMEOUT = 120_000;
const VERSION_TIMEOUT = 30_000;
const MOST_OUTPUT = 65_536;

/** Tries one client in the given environment against the test upstream. Its files go into a directory below `scratch`. Never rejects. */
export async function tryClient(
  client: Client,
  { env, origin, scratch }: { env: Record<string, string>; origin: string; scratch: string },
): Promise<ClientResult> {
  const environment = { ...env, ...client.env };
  const version = await execute(client.program, client.version, environment, VERSION_TIMEOUT);
  if (version === null || isAbsent(client, version)) return { client: client.name, version: null, result: 'not installed' };
  const directory = await mkdtemp(join(scratch, 'client-'));
  if (client.source !== undefined) await writeFile(join(directory, client.source.name), client.source.text);
  const ended = await execute(client.program, client.request(origin, directory), environment, TIMEOUT);
  const named = { client: client.name, version: versionIn(version.output) };
  if (ended === null || isAbsent(client, ended)) return { ...named, version: null, result: 'not installed' };
  if (ended.code === 0 && ended.output.includes(expected(client))) return { ...named, result: 'ok' };
  const said = ended.code === null ? 'it did not end in time' : (lines(ended.output).at(-1) ?? 'nothing').slice(0, 300);
  return { ...named, result: 'failed', said, fix: client.fix };
}

function isAbsent({ absent }: Client, { code, output }: Ended): boolean {
  return code !== 0 && absent !== undefined && output.includes(absent);
}

function lines(output: string): string[] {
  return output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('Picked up JAVA_TOOL_OPTIONS'));
}

function versionIn(output: string): string | null {
  return /[0-9]+(\.[0-9]+)+/.exec(lines(output)[0] ?? '')?.[0] ?? null;
}

/** Null when there is no such program. `code` is null when it had to be stopped. */
function execute(program: string, args: readonly string[], env: Record<string, string>, timeout: number): Promise<Ended | null> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout, killSignal: 'SIGKILL' });
    let output = '';
    const collect = (chunk: Buffer): void => {
      if (output.length < MOST_OUTPUT) output += chunk.toString('utf8');
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.once('error', () => resolve(null));
    child.once('close', (code) => resolve({ code, output }));
  });
}
