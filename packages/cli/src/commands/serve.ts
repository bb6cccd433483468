import { openCredentialsFile } from '@sallyport/credentials';
import {
  ConfigError,
  controlSocketPath,
  formatProblems,
  type Gateway,
  type LoadedConfig,
  loadConfig,
  type RunServer,
  Runs,
  serveRuns,
  startGateway,
  watchConfig,
} from '@sallyport/gateway';
import { asSallyportError, type CredentialProvider, type SallyportError } from '@sallyport/sdk';
import { requireConfig } from '../config-file.js';
import { controlDirectory } from '../run/run-gateway.js';
import { coloursFor, columns } from '../terminal.js';
import { version } from '../version.js';

/** The options of `sallyport serve`. */
export interface ServeOptions {
  readonly config?: string;
  /** A JSON file with credentials by vendor. */
  readonly credentials?: string;
}

/** `sallyport serve`: resolves with the exit code once the gateway has stopped. Rejects when it cannot start. */
export async function serve(options: ServeOptions): Promise<number> {
  const stop = stopSignals();
  // One that comes before there is anything to reload would otherwise end the process.
  process.on('SIGHUP', () => {});
  const path = requireConfig(options.config);
  const loaded = await loadConfig(path);
  const runs = new Runs();
  const plugin = options.credentials === undefined ? {} : { plugin: await credentialsFrom(options.credentials) };
  const gateway = await startGateway(loaded.gateway, { version: version(), onExchange: runs.note, ...plugin });
  failClosed(gateway);
  const reloading = keepUpToDate(gateway, loaded);
  const control = await letRunsJoin(gateway, runs, path);
  announce(gateway, loaded);
  await stop.first;
  reloading.end();
  control?.drain();
  const stopped = gateway.stop(stop.again);
  gateway.logger.info('stopping: no new connections; what is in flight may finish');
  await stopped;
  control?.close();
  return 0;
}

/** The credentials of a file as a plugin. What is said about a changed file goes to standard error: the log is not open yet when the first is read. */
async function credentialsFrom(path: string): Promise<CredentialProvider> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  return await openCredentialsFile({ path, onWarning: say, onReject: (error) => say(`${error.message} ${error.hint}`) });
}

/** Hears of the signals that mean stop from the very beginning: `first` resolves with the first of them, `again` is aborted by the second. */
function stopSignals(): { first: Promise<void>; again: AbortSignal } {
  const again = new AbortController();
  const first = new Promise<void>((resolve) => {
    let asked = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (asked) again.abort();
        asked = true;
        resolve();
      });
    }
  });
  return { first, again: again.signal };
}

/**
 * What nobody expected ends the process: a gateway in a state that nobody knows must not go on to hand out secrets. The log gets the kind of the
 * error and where it was thrown, but not its message, which may hold anything.
 */
function failClosed(gateway: Gateway): void {
  const end = (error: unknown): void => {
    const { name, stack } = error instanceof Error ? error : { name: typeof error, stack: undefined };
    const frames = (stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
    gateway.logger.fatal({ code: 'internal_error', error: name, frames }, 'something unexpected happened; the gateway ends');
    if (process.env.SALLYPORT_DEBUG === '1') console.error(error);
    void gateway.log.close(AbortSignal.timeout(1_000)).finally(() => process.exit(1));
  };
  process.once('uncaughtException', end);
  process.once('unhandledRejection', end);
}

/** Null where that is not possible; the gateway works without it, and `sallyport run` starts one of its own then. */
async function letRunsJoin(gateway: Gateway, runs: Runs, path: string): Promise<RunServer | null> {
  if (process.platform === 'win32') return null;
  try {
    return await serveRuns(gateway, runs, controlSocketPath(controlDirectory(), path));
  } catch (error) {
    const { code, message, hint } = asSallyportError(error);
    gateway.logger.warn({ code, hint }, message);
    return null;
  }
}

/** Says where the gateway is: in the log for programs, and on a terminal for people. */
function announce(gateway: Gateway, { path, gateway: config, warnings }: LoadedConfig): void {
  const { forward, sidecar, ops } = gateway.ports;
  const { certificatePath } = gateway.authority;
  gateway.logger.info({ version: version(), config: path, forward, sidecar, ops, authority: certificatePath }, 'Sallyport is running');
  for (const { line, column, key, message } of warnings) gateway.logger.warn({ line, column, key }, message);
  if (!process.stderr.isTTY) return;
  const colours = coloursFor(process.stderr);
  const doors = Object.entries(config.listeners).flatMap(([door, listener]) => {
    const port = gateway.ports[door as keyof typeof gateway.ports];
    if (listener === undefined || port === null) return [];
    return [[door, `${'tls' in listener && listener.tls !== undefined ? 'https' : 'http'}://${urlHost(listener.host)}:${port}`]];
  });
  const count = (things: object): number => Object.keys(things).length;
  const rows = [
    ...doors,
    [
      'policy',
      `${config.policy.mode}, ${config.policy.rules.length} rules; ${count(config.credentials)} credentials, ${count(config.callers)} callers`,
    ],
    ['authority', certificatePath],
    ['config', `${path} (changes apply at once)`],
    ...(config.log.file === undefined ? [] : [['log', config.log.file]]),
  ];
  const table = columns(rows.map(([what = '', is = '']) => [`  ${colours.dim(what)}`, is]));
  const doubts = warnings.length === 0 ? '' : `${colours.yellow('warning:')}\n${formatProblems(warnings)}\n`;
  process.stderr.write(`${colours.green('Sallyport')} ${version()} is running (process ${process.pid}).\n${table}\n${doubts}`);
}

/** Applies the configuration again whenever its files change and on SIGHUP, one time after the other. */
function keepUpToDate(gateway: Gateway, loaded: LoadedConfig): { end(): void } {
  const { path } = loaded;
  let unwatch = watchConfig(path, loaded.files, () => request());
  let running = false;
  let again = false;
  let ended = false;

  async function apply(): Promise<void> {
    let next: LoadedConfig;
    try {
      next = await loadConfig(path);
    } catch (error) {
      const failure = asSallyportError(error);
      gateway.noteRejectedReload(failure.message);
      report(failure);
      return;
    }
    if (ended) return;
    // What the new one names is watched even when it cannot be applied: the file that is wrong may be among it.
    unwatch();
    unwatch = watchConfig(path, next.files, () => request());
    try {
      await gateway.reload(next.gateway);
    } catch (error) {
      report(asSallyportError(error));
      return;
    }
    gateway.logger.info({ config: path }, 'the changed configuration is in force');
    for (const { line, column, key, message } of next.warnings) gateway.logger.warn({ line, column, key }, message);
  }

  function report(error: SallyportError): void {
    const problems =
      error instanceof ConfigError ? error.problems.map(({ file, line, column, key, message }) => ({ file, line, column, key, message })) : [];
    gateway.logger.error(
      { code: error.code, problems, hint: error.hint },
      `the changed configuration was not applied, the old one stays: ${error.message}`,
    );
    if (!process.stderr.isTTY) return;
    const places = error instanceof ConfigError && error.problems.length > 0 ? formatProblems(error.problems) : error.message;
    process.stderr.write(`${coloursFor(process.stderr).red('The changed configuration was not applied, the old one stays.')}\n${places}\n`);
  }

  function request(): void {
    // A change that comes while one is being applied is looked at afterwards.
    again = true;
    if (running || ended) return;
    running = true;
    void (async () => {
      while (again && !ended) {
        again = false;
        await apply();
      }
      running = false;
    })();
  }

  process.on('SIGHUP', request);
  return {
    end() {
      ended = true;
      process.off('SIGHUP', request);
      unwatch();
    },
  };
}

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
