import type { AddressInfo } from 'node:net';
import { SallyportError } from '@sallyport/sdk';
import { createServiceApp, type ServiceApp, type ServiceAppOptions } from '../server/service-app.js';
import { openServerTls, type ServerTls, type ServerTlsConfig } from '../server/tls/server-tls.js';

/** Where a service listens. */
export interface ServiceAddress {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Answers for the health on a port of its own, without TLS. */
  readonly health_port?: number | undefined;
  readonly tls?: ServerTlsConfig | undefined;
}

/** A service that listens. */
export interface ListeningService {
  readonly port: number;
  readonly healthPort: number | undefined;
  /** Takes no new connections, lets what is in hand finish until the signal aborts, and ends what is left. */
  readonly stop: (deadline: AbortSignal) => Promise<void>;
}

/** Opens a service. Rejects with `address_in_use`, `bind_failed`, or what is wrong with its TLS. */
export async function listen(
  address: ServiceAddress,
  options: Omit<ServiceAppOptions, 'tls'>,
  onTrouble: (error: SallyportError) => void,
): Promise<ListeningService> {
  const ended = new AbortController();
  const tls = address.tls === undefined ? undefined : await openServerTls(address.tls, { onTrouble, signal: ended.signal });
  const apps: ServiceApp[] = [];
  try {
    const main = await createServiceApp({ ...options, ...(tls === undefined ? {} : { tls: tls.context() }) });
    apps.push(main);
    renew(main, tls);
    const port = await open(main, address.host, address.port);
    const healthPort = address.health_port === undefined ? undefined : await openHealth(apps, address.host, address.health_port, options);
    return { port, healthPort, stop: (deadline) => stop(apps, tls, deadline) };
  } catch (error) {
    ended.abort();
    await Promise.all(apps.map((app) => app.close()));
    throw error;
  }
}

async function openHealth(apps: ServiceApp[], host: string, port: number, options: Omit<ServiceAppOptions, 'tls'>): Promise<number> {
  const { sessionCookie: _, cors: __, ...rest } = options;
  const app = await createServiceApp({ ...rest, operations: options.operations.filter(({ unthrottled }) => unthrottled === true) });
  apps.push(app);
  return open(app, host, port);
}

async function open(app: ServiceApp, host: string, port: number): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new SallyportError(reason === 'EADDRINUSE' ? 'address_in_use' : 'bind_failed', { detail: `${host}:${port}: ${reason}`, cause });
  }
  return (app.server.address() as AddressInfo).port;
}

/** New connections meet the new certificate; those that there are keep what they have agreed on. */
function renew(app: ServiceApp, tls: ServerTls | undefined): void {
  const { server } = app as unknown as { readonly server: { setSecureContext?: (context: object) => void } };
  tls?.onRenewed(() => server.setSecureContext?.(tls.context()));
}

async function stop(apps: readonly ServiceApp[], tls: ServerTls | undefined, deadline: AbortSignal): Promise<void> {
  const cut = (): void => {
    for (const app of apps) app.server.closeAllConnections();
  };
  deadline.addEventListener('abort', cut, { once: true });
  if (deadline.aborted) cut();
  await Promise.all(apps.map((app) => app.close()));
  deadline.removeEventListener('abort', cut);
  await tls?.close();
}
