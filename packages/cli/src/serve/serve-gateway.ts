import { openCredentialsFile } from '@sallyport/credentials';
import {
  controlSocketPath,
  formatProblems,
  type Gateway,
  type LoadedConfig,
  type RunServer,
  Runs,
  serveRuns,
  startGateway,
} from '@sallyport/gateway';
import { asSallyportError, type CredentialProvider } from '@sallyport/sdk';
import { controlDirectory } from '../run/run-gateway.js';
import { coloursFor, columns } from '../terminal.js';
import { version } from '../version.js';
import { keepUpToDate } from './keep-up-to-date.js';

/** A gateway that serves, and keeps up with its configuration. */
export interface ServedGateway {
  readonly gateway: Gateway;
  /** Lets what is in flight finish; `again` ends it at once. */
  readonly stop: (again: AbortSignal) => Promise<void>;
}

/** Starts the gateway of a configuration, lets `sallyport run` join it, and says where it is. Rejects when it cannot start. */
export async function serveGateway(loaded: LoadedConfig, credentials: string | undefined): Promise<ServedGateway> {
  const runs = new Runs();
  const plugin = credentials === undefined ? {} : { plugin: await credentialsFrom(credentials) };
  const gateway = await startGateway(loaded.gateway, { version: version(), onExchange: runs.note, ...plugin });
  const reloading = keepUpToDate(gateway, loaded);
  const control = await letRunsJoin(gateway, runs, loaded.path);
  announce(gateway, loaded);
  return {
    gateway,
    async stop(again) {
      reloading.end();
      control?.drain();
      const stopped = gateway.stop(again);
      gateway.logger.info('stopping: no new connections; what is in flight may finish');
      await stopped;
      control?.close();
    },
  };
}

/** The credentials of a file as a plugin. What is said about a changed file goes to standard error: the log is not open yet when the first is read. */
async function credentialsFrom(path: string): Promise<CredentialProvider> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  return await openCredentialsFile({ path, onWarning: say, onReject: (error) => say(`${error.message} ${error.hint}`) });
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

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
