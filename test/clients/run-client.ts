import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { World } from './world.js';

/** How a client program ended. */
export interface Ran {
  /** The exit code; null when it was ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Beside the variables that every program needs. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** For its standard input. */
  readonly input?: Buffer | string;
}

const TIMEOUT = 90_000;
const MOST_OUTPUT = 1024 * 1024;

/**
 * The environment of a program on a machine where nobody set anything up: its own home, no proxy, no extra certificates. Without it a setting of
 * the developer would decide what a test shows.
 */
export function bareEnvironment(world: World): Record<string, string> {
  const home = path.join(world.directory, 'home');
  mkdirSync(home, { recursive: true });
  return { PATH: process.env.PATH ?? '', HOME: home, TMPDIR: world.directory, LANG: 'C.UTF-8' };
}

/** The variables that steer clients to the gateway, trusting `ca` and nothing else. */
export function proxyEnvironment(world: World, ca: string): Record<string, string> {
  const { proxyUrl } = world;
  const proxy = { http_proxy: proxyUrl, https_proxy: proxyUrl, HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl };
  const forCurl = { CURL_CA_BUNDLE: ca, GIT_SSL_CAINFO: ca };
  const forPython = { PIP_CERT: ca, REQUESTS_CA_BUNDLE: ca };
  return { ...proxy, ...forCurl, ...forPython, NODE_EXTRA_CA_CERTS: ca, npm_config_cafile: ca, SSL_CERT_FILE: ca };
}

/**
 * Runs a program to its end. That the program never had a secret is checked on both sides of it: nothing that it is given and nothing that it
 * prints may hold one. Rejects when one does, and when the program cannot be started or does not end.
 */
export function runClient(world: World, program: string, args: readonly string[], { env = {}, cwd, input }: RunOptions = {}): Promise<Ran> {
  const environment = { ...bareEnvironment(world), ...env };
  keepSecret(world, [...args, ...Object.values(environment)].join('\n'), `${program} was given`);
  return new Promise((resolve, reject) => {
    const options = { env: environment, cwd: cwd ?? world.directory, timeout: TIMEOUT, maxBuffer: MOST_OUTPUT, encoding: 'utf8' } as const;
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      try {
        keepSecret(world, `${stdout}\n${stderr}`, `${program} printed`);
      } catch (leak) {
        reject(leak);
        return;
      }
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      if (error !== null && (error.killed === true || code === null)) reject(new Error(`${program}: ${error.message}\n${stdout}\n${stderr}`));
      else resolve({ code, stdout, stderr });
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** As `runClient`, for a program that has to succeed. Answers what it printed. */
export async function runWell(world: World, program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const ran = await runClient(world, program, args, options);
  if (ran.code !== 0) throw new Error(`${program} ended with ${ran.code}\n${ran.stdout}\n${ran.stderr}`);
  return ran;
}

/** What `pattern` finds in the output of a program that tells its version; null when there is no such program. */
export function versionOf(program: string, args: readonly string[], pattern: RegExp): string | null {
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? (pattern.exec(`${stdout}\n${stderr}`)?.[1] ?? null) : null;
}

/** Whether there is such a program. */
export function isPresent(program: string): boolean {
  return spawnSync(program, ['--help'], { stdio: 'ignore' }).error === undefined;
}

function keepSecret({ secrets }: World, text: string, who: string): void {
  if (secrets.some((secret) => text.includes(secret))) throw new Error(`${who} a secret`);
}
