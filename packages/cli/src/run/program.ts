import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { isatty } from 'node:tty';

/** A program that was started, and takes the signals that this process gets. */
export interface Program {
  /** The exit code of the program; 128 and the number of the signal that ended it; 127 when it was not found, 126 when it could not be started. */
  readonly ended: Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

/** Signals that are passed on as they come. */
const PASSED_ON = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
/** Signals that a terminal sends to everybody in its foreground, so that passing them on would deliver them twice. */
const FROM_TERMINAL = ['SIGINT', 'SIGQUIT'] as const;

/** Begins to keep signals for a program that is about to be started: none is lost, and none ends this process before it has cleaned up. */
export function signalsForProgram(): { start(command: string, args: readonly string[], env: Record<string, string>): Program; end(): void } {
  const early: NodeJS.Signals[] = [];
  let child: ChildProcess | null = null;
  const atTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
  const passOn = (signal: NodeJS.Signals): void => {
    if (child === null) early.push(signal);
    else child.kill(signal);
  };
  const fromTerminal = (signal: NodeJS.Signals): void => {
    if (child === null || !atTerminal) passOn(signal);
  };
  for (const signal of PASSED_ON) process.on(signal, passOn);
  for (const signal of FROM_TERMINAL) process.on(signal, fromTerminal);

  return {
    start(command, args, env) {
      const started = spawn(command, args, { env, stdio: 'inherit' });
      child = started;
      const ended = new Promise<number>((resolve) => {
        started.on('error', (error: NodeJS.ErrnoException) => {
          // It runs: then only a signal could not be delivered.
          if (started.pid !== undefined) return;
          process.stderr.write(
            `sallyport: ${command} cannot be started: ${error.code === 'ENOENT' ? 'there is no such program' : (error.code ?? error.message)}\n`,
          );
          resolve(error.code === 'ENOENT' ? 127 : 126);
        });
        started.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
      });
      if (started.pid !== undefined) for (const signal of early) started.kill(signal);
      return { ended, kill: (signal) => void started.kill(signal) };
    },
    end() {
      for (const signal of PASSED_ON) process.off(signal, passOn);
      for (const signal of FROM_TERMINAL) process.off(signal, fromTerminal);
    },
  };
}
