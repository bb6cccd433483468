import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { SallyportError } from '@sallyport/sdk';
import { errorCode, unavailable } from '../unavailable.js';

/** A program with its arguments, run without a shell in a process group of its own, with nothing on its standard input. */
export interface CommandOptions {
  readonly argv: readonly string[];
  /** The whole environment of the child. */
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds until the whole group is stopped. */
  readonly timeoutMs: number;
}

/** How it ended, and what it said: all of standard output (at most 1 MiB), the last 8 KiB of standard error. */
export interface CommandResult {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

const STDOUT_LIMIT = 1024 * 1024;
const STDERR_KEPT = 8 * 1024;
const KILL_AFTER_MS = 3_000;

/**
 * Runs the program until it has ended and closed its outputs, whatever its exit code. An abort rejects at once with the reason of the
 * signal; a program that does not start, takes too long or prints too much rejects with `credential_unavailable`. On each of these the
 * whole group gets SIGTERM, and SIGKILL 3 s later. Needs POSIX process groups.
 */
export function runCommand({ argv, env, timeoutMs }: CommandOptions, signal: AbortSignal): Promise<CommandResult> {
  return new Promise<CommandResult>((resolve, reject) => {
    signal.throwIfAborted();
    const [program = '', ...args] = argv;
    const child = start(program, args, env);

    const out: Buffer[] = [];
    let outLength = 0;
    let stderr: Buffer = Buffer.alloc(0);

    const release = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    const stop = (reason: unknown): void => {
      release();
      reject(reason);
      stopGroup(child);
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const abort = (): void => stop(signal.reason);
    const timer = setTimeout(() => stop(tookTooLong(program, timeoutMs)), timeoutMs);
    signal.addEventListener('abort', abort, { once: true });

    child.stdout.on('data', (chunk: Buffer) => {
      outLength += chunk.length;
      if (outLength > STDOUT_LIMIT) stop(printedTooMuch(program));
      else out.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = Buffer.concat([stderr, chunk]).subarray(-STDERR_KEPT);
    });
    child.on('error', (error) => stop(notStarted(program, error)));
    // `close`, not `exit`: only then is all of the output here.
    child.on('close', (code, endedBy) => {
      release();
      resolve({ code, signal: endedBy, stdout: Buffer.concat(out), stderr });
    });
  });
}

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcessByStdio<null, Readable, Readable> {
  try {
    return spawn(program, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw notStarted(program, error);
  }
}

function stopGroup(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined || !signalGroup(pid, 'SIGTERM')) return;
  const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), KILL_AFTER_MS);
  // Once the group is empty its number may be given to somebody else, who must not be killed.
  child.once('exit', () => {
    if (!signalGroup(pid, 0)) clearTimeout(timer);
  });
}

/** False when there is no such group any more, or none that may be signalled. Signal 0 only asks. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

function notStarted(program: string, error: unknown): SallyportError {
  const code = errorCode(error);
  if (program === '') return unavailable('The process source has no command.', 'Name the program and its arguments.');
  // Neither the message nor the error itself: Node puts the arguments into both.
  if (code === 'ENOENT') {
    return unavailable(`The program ${program} was not found.`, 'Install it, name it by its absolute path, or correct PATH.');
  }
  if (code === 'EACCES')
    return unavailable(`The program ${program} may not be run.`, 'Make the file executable for the user that Sallyport runs as.');
  return unavailable(`The program ${program} could not be started (${code}).`, 'Check the command of the source and the limits of this machine.');
}

function tookTooLong(program: string, timeoutMs: number): SallyportError {
  return unavailable(
    `The program ${program} did not finish within ${timeoutMs / 1000} s, or something that it started holds its output open.`,
    'Run the command by hand to see what it waits for, or raise the timeout of the source.',
  );
}

function printedTooMuch(program: string): SallyportError {
  return unavailable(`The program ${program} printed more than 1 MiB.`, 'Make the command print the secret and nothing else.');
}
