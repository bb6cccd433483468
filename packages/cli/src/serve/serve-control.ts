import { controlSection, type RunningControl, type ServiceName, startControl } from '@sallyport/control';
import { formatProblems, type Logger, loadConfig, openLog } from '@sallyport/gateway';
import { SallyportError } from '@sallyport/sdk';
import { coloursFor, columns } from '../terminal.js';
import { version } from '../version.js';
import { failClosed } from './fail-closed.js';

/**
 * Starts these services of the control plane and says where they are. `logger` is that of the gateway in the same process, if there is one. Rejects when
 * something cannot start; what has been logged by then is written.
 */
export async function serveControl(
  path: string,
  services: readonly ServiceName[],
  logger: Logger | null,
): Promise<{ readonly stop: (again: AbortSignal) => Promise<void> }> {
  const { control: config, warnings } = await loadConfig(path, { control: controlSection });
  if (config === null) throw new SallyportError('config_invalid', { detail: 'The configuration has no section `control`.' });
  const { file, level } = config.log;
  const own = logger === null ? openLog({ destination: file === undefined ? { fd: 1 } : { file }, level }) : null;
  const used = logger ?? (own as NonNullable<typeof own>).logger;
  const closeLog = async (): Promise<void> => own?.close(AbortSignal.timeout(1_000));
  if (own !== null) failClosed(own.logger, (signal) => own.close(signal));
  for (const { line, column, key, message } of warnings) used.warn({ line, column, key }, message);
  let running: RunningControl;
  try {
    running = await startControl(config, { services, logger: used, version: version() });
  } catch (error) {
    await closeLog();
    throw error;
  }
  used.info({ version: version(), config: path, ...running.ports, health: running.healthPorts }, 'The control plane is running');
  announce(running, warnings.length === 0 ? '' : formatProblems(warnings));
  return {
    async stop(again) {
      used.info('stopping: no new requests; what is in hand may finish');
      try {
        await running.stop(again);
      } finally {
        await closeLog();
      }
    },
  };
}

/** Says on a terminal where the services are. */
function announce({ ports }: RunningControl, doubts: string): void {
  if (!process.stderr.isTTY) return;
  const colours = coloursFor(process.stderr);
  const rows = Object.entries(ports).map(([service, port]) => [`  ${colours.dim(service)}`, `port ${port}`]);
  const warning = doubts === '' ? '' : `${colours.yellow('warning:')}\n${doubts}\n`;
  process.stderr.write(
    `${colours.green('Sallyport')} ${version()}: the control plane is running (process ${process.pid}).\n${columns(rows)}\n${warning}`,
  );
}
