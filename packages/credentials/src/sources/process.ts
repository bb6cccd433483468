import { stripVTControlCharacters } from 'node:util';
import type { SallyportError } from '@sallyport/sdk';
import { decodeText, type Material, plainMaterial } from '../material.js';
import type { Source } from '../source.js';
import { unavailable } from '../unavailable.js';
import { type CommandResult, runCommand } from './command.js';
import { parseCredentialProcess } from './credential-process.js';

/** A program that prints the secret, or AWS `credential_process` JSON. */
export interface ProcessSourceOptions {
  /** The program and its arguments; no shell reads them. Not the place for a secret: every user of the machine can list arguments. */
  readonly command: readonly string[];
  /** Milliseconds the program may take; 10 s when left out. */
  readonly timeoutMs?: number;
  /** Milliseconds for which output that names no expiry is good; 5 min when null or left out. */
  readonly ttlMs?: number | null;
  /** Set in the environment of the program, over the variables of this process. May hold secrets. */
  readonly env?: Readonly<Record<string, string>>;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_TTL_MS = 5 * 60_000;
const STDERR_SHOWN = 256;
/** Stands for what is masked until the end, so that the word `secret` is not taken for one. Cannot stand in a cleaned line. */
const MASK = '\0';
/** Shorter texts, such as the value of `DEBUG=1`, stand in any message by chance. */
const WHOLE_MASKED = 4;
const WORD_MASKED = /[^\s"'`=:,;(){}[\]<>\0]{6,}/g;

/**
 * What a program prints (UTF-8, at most 1 MiB). AWS `credential_process` JSON fills `fields` and expires at its `Expiration`; anything else
 * is the secret itself and expires after `ttlMs`, as does such JSON without `Expiration`. An exit code other than 0, no output, and
 * credentials that have expired already are errors; the first one shows up to 256 bytes of what the program wrote to standard error.
 */
export function processSource({ command, timeoutMs = DEFAULT_TIMEOUT_MS, ttlMs, env = {} }: ProcessSourceOptions): Source {
  const program = command[0] ?? '';
  return {
    type: 'process',
    description: `process ${program}`,
    async fetch(signal: AbortSignal): Promise<Material> {
      const result = await runCommand({ argv: command, env: { ...process.env, ...env }, timeoutMs }, signal);
      if (result.code !== 0) throw failed(program, result, Object.values(env));
      const now = Date.now();
      const material = read(program, result.stdout);
      if (material.expiresAt === null) return { ...material, expiresAt: now + (ttlMs ?? DEFAULT_TTL_MS) };
      if (material.expiresAt <= now) throw expired(program, material.expiresAt);
      return material;
    },
  };
}

function read(program: string, stdout: Buffer): Material {
  const text = decodeText(stdout);
  if (text === null) throw unavailable(`The output of ${program} is not UTF-8 text.`, 'Make the command print text, for example Base64.');
  const material = parseCredentialProcess(text) ?? plainMaterial(text, null);
  if (material === null) throw unavailable(`The program ${program} printed nothing.`, 'Make the command print the secret to its standard output.');
  return material;
}

function failed(program: string, { code, signal, stdout, stderr }: CommandResult, environment: readonly string[]): SallyportError {
  const how = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
  const said = excerpt(stderr.toString(), [stdout.toString(), ...environment]);
  return unavailable(
    `The program ${program} ${how}${said === '' ? '' : `: ${said}`}${said.endsWith('.') ? '' : '.'}`,
    'Run the command by hand as the user that Sallyport runs as.',
  );
}

function expired(program: string, expiresAt: number): SallyportError {
  const time = new Date(expiresAt).toISOString();
  return unavailable(`The credentials that ${program} printed expired at ${time}.`, 'Log in again with the tool behind it, and check the clock.');
}

/**
 * The end of what the program complained about, as one line of at most 256 bytes. What also stands in its output or in a variable that it
 * was given is masked, as a whole and word by word: it may be the secret, or a part of it.
 */
function excerpt(stderr: string, sensitive: readonly string[]): string {
  let line = stripVTControlCharacters(stderr)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  for (const text of sensitive) {
    const whole = text.trim();
    if (whole.length >= WHOLE_MASKED) line = line.replaceAll(whole, MASK);
  }
  line = line.replace(WORD_MASKED, (word) => (sensitive.some((text) => text.includes(word)) ? MASK : word));
  const end = Buffer.from(line.replaceAll(MASK, '[secret]')).subarray(-STDERR_SHOWN).toString();
  // The cut may have split a character.
  return end.replace(/^\uFFFD+/, '');
}
