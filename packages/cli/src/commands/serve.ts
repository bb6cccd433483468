import { loadConfig } from '@sallyport/gateway';
import { SallyportError } from '@sallyport/sdk';
import { requireConfig, sectionsOf } from '../config-file.js';
import { failClosed } from '../serve/fail-closed.js';
import { type Role, roles } from '../serve/roles.js';
import { serveGateway } from '../serve/serve-gateway.js';
import { stopSignals } from '../serve/stop-signals.js';

/** The options of `sallyport serve`. */
export interface ServeOptions {
  readonly config?: string;
  /** A JSON file with credentials by vendor. */
  readonly credentials?: string;
}

/** `sallyport serve`: resolves with the exit code once everything has stopped. Rejects when it cannot start. */
export async function serve(given: readonly Role[], options: ServeOptions): Promise<number> {
  const stop = stopSignals();
  // One that comes before there is anything to reload would otherwise end the process.
  process.on('SIGHUP', () => {});
  const path = requireConfig(options.config);
  const wanted = roles(given, await sectionsOf(path));
  const gateway = wanted.gateway ? await serveGateway(await loadConfig(path), options.credentials) : null;
  if (gateway !== null) failClosed(gateway.gateway.logger, (signal) => gateway.gateway.log.close(signal));
  let control: { readonly stop: (again: AbortSignal) => Promise<void> } | null = null;
  try {
    // Loaded only where it is served: a gateway alone stays small.
    if (wanted.services.length > 0) {
      const { serveControl } = await import('../serve/serve-control.js');
      control = await serveControl(path, wanted.services, gateway?.gateway.logger ?? null);
    }
  } catch (error) {
    await gateway?.stop(AbortSignal.abort());
    throw error;
  }
  if (gateway === null && control === null) throw new SallyportError('config_invalid', { detail: 'There is nothing to serve.' });
  await stop.first;
  // The process ends with this command: each of them has to be heard to the end, also when the other one could not be ended.
  const ended = await Promise.allSettled([gateway?.stop(stop.again), control?.stop(stop.again)]);
  for (const outcome of ended) if (outcome.status === 'rejected') throw outcome.reason as unknown;
  return 0;
}
