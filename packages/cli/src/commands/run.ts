import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { RunCredentials, RunSummary } from '@sallyport/gateway';
import { findConfig } from '../config-file.js';
import { prepareEnvironment } from '../run/child-environment.js';
import { signalsForProgram } from '../run/program.js';
import { describeRun } from '../run/report.js';
import { openRunGateway, type RunGateway, type RunOptions } from '../run/run-gateway.js';

/** The options of `sallyport run` as they stand on the command line. */
export interface RunCommandOptions {
  config?: string;
  credentials?: string;
  allow?: string[];
  mode?: 'strict' | 'permissive' | 'observe';
  report?: true;
  reportJson?: string;
}

/** `sallyport run`: resolves with the exit code of the program. Rejects when the gateway cannot be had; then the program was not started. */
export async function run([program = '', ...args]: readonly string[], options: RunCommandOptions): Promise<number> {
  const signals = signalsForProgram();
  const wanted: RunOptions = {
    config: options.config,
    credentials: readCredentials(options.credentials),
    allow: options.allow ?? [],
    mode: options.mode,
  };
  const gateway = await openRunGateway(wanted, findConfig(options.config));
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-run-'));
  // Also when something unexpected ends this process.
  const removeFiles = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', removeFiles);
  let code: number;
  let summary: RunSummary | null;
  try {
    code = await runProgram(program, args, { gateway, directory, signals });
  } finally {
    removeFiles();
    signals.end();
    summary = await gateway.end();
  }
  await report(summary, options);
  return code;
}

async function runProgram(
  program: string,
  args: readonly string[],
  { gateway, directory, signals }: { gateway: RunGateway; directory: string; signals: ReturnType<typeof signalsForProgram> },
): Promise<number> {
  const { offer, lost } = gateway;
  const env = await prepareEnvironment(offer, directory, process.env);
  const started = signals.start(program, args, env);
  lost.addEventListener('abort', () => process.stderr.write('sallyport: the gateway has gone away; the program cannot reach anything any more\n'));
  const crashed = (error: unknown): void => {
    // Without its gateway the program cannot do its work; going on with half of it would be worse than ending.
    process.stderr.write(`sallyport: something unexpected happened (${error instanceof Error ? error.name : typeof error}); the program is ended\n`);
    if (process.env.SALLYPORT_DEBUG === '1') console.error(error);
    started.kill('SIGTERM');
    process.exit(1);
  };
  process.once('uncaughtException', crashed);
  process.once('unhandledRejection', crashed);
  return started.ended;
}

function readCredentials(text: string | undefined): RunCredentials {
  if (text === undefined) return 'default';
  return text === 'all' ? 'all' : text.split(',').filter((name) => name !== '');
}

async function report(summary: RunSummary | null, options: RunCommandOptions): Promise<void> {
  if (options.reportJson !== undefined) await writeFile(resolve(options.reportJson), `${JSON.stringify(summary, null, 2)}\n`);
  if (options.report !== true && !process.stderr.isTTY) return;
  process.stderr.write(summary === null ? 'sallyport: the gateway is gone, and with it what this run did\n' : describeRun(summary));
}
