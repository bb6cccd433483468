import { lookup } from 'node:dns/promises';
import { type AddressInfo, isIP } from 'node:net';
import { SallyportError } from '@sallyport/sdk';
import { createServiceApp, type ServiceApp, type ServiceAppOptions } from '../server/service-app.js';
import { openServerTls, type ServerTls, type ServerTlsConfig } from '../server/tls/server-tls.js';
import { type Close, closeAll } from './close-all.js';
import type { ControlMetrics } from './control-metrics.js';

/** Where a service listens. */
export interface ServiceAddress {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Answers for the health on a port of its own, without TLS. */
  readonly health_port?: number | undefined;
  readonly tls?: ServerTlsConfig | undefined;
}

/** What is listened with besides the operations. */
export interface ListenOptions {
  readonly metrics: Pick<ControlMetrics, 'render'>;
  /** Hears what goes wrong with the certificates. */
  readonly onTrouble: (error: SallyportError) => void;
}

/** A service that listens. */
export interface ListeningService {
  readonly port: number;
  readonly healthPort: number | undefined;
  /**
   * Takes no new connections and no new requests, lets those in hand finish until the signal aborts, and then cuts what is left. Probes are answered
   * until `close`: who watches over the process has to see that it is stopping.
   */
  readonly drain: (deadline: AbortSignal) => Promise<void>;
  /** Ends everything at once. */
  readonly close: Close;
}

/** How often connections are cut that came between the end of the others and that of the listener. */
const CUT_AGAIN_MS = 50;

/** Opens a service. Rejects with `address_in_use`, `bind_failed`, or what is wrong with its TLS, and leaves nothing open then. */
export async function listen(address: ServiceAddress, options: Omit<ServiceAppOptions, 'tls'>, more: ListenOptions): Promise<ListeningService> {
  const { host, port: wanted, health_port: health } = address;
  const closing: Close[] = [];
  const probed: ServiceApp[] = [];
  try {
    const tls = address.tls === undefined ? undefined : await openTls(address.tls, more);
    if (tls !== undefined) closing.push(() => tls.close());
    const main = await createServiceApp({ ...options, ...(tls === undefined ? {} : { tls: tls.context() }) });
    closing.push(() => end(main, AbortSignal.abort()));
    if (options.service === 'worker') probed.push(main);
    let healthPort: number | undefined;
    if (health !== undefined) {
      const app = await probesOnly(options);
      closing.push(() => end(app, AbortSignal.abort()));
      probed.push(app);
      addMetrics(app, more.metrics);
      healthPort = await open(app, host, health);
    }
    if (options.service === 'worker') addMetrics(main, more.metrics);
    if (tls !== undefined) renew(main, tls);
    const port = await open(main, host, wanted);
    return {
      ...{ port, healthPort },
      drain: async (deadline) => {
        if (!probed.includes(main)) await end(main, deadline);
      },
      close: () => closeAll(closing),
    };
  } catch (error) {
    // What is wrong is why it does not start, not what cannot be ended on top of it.
    await closeAll(closing).catch(() => undefined);
    throw error;
  }
}

function openTls(config: ServerTlsConfig, { onTrouble }: ListenOptions): Promise<ServerTls> {
  return openServerTls(config, { onTrouble, signal: new AbortController().signal });
}

function probesOnly(options: Omit<ServiceAppOptions, 'tls'>): Promise<ServiceApp> {
  const { sessionCookie: _, cors: __, ...rest } = options;
  return createServiceApp({ ...rest, operations: options.operations.filter(({ unthrottled }) => unthrottled === true) });
}

/** For whoever reaches the port, as the probes are. */
function addMetrics(app: ServiceApp, metrics: ListenOptions['metrics']): void {
  app.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    const { contentType, text } = await metrics.render();
    return reply.header('content-type', contentType).send(text);
  });
}

async function open(app: ServiceApp, host: string, port: number): Promise<number> {
  try {
    // Given the name `localhost`, Fastify listens with a second server, whose connections nobody would end.
    await app.listen({ host: isIP(host) === 0 ? (await lookup(host)).address : host, port });
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new SallyportError(reason === 'EADDRINUSE' ? 'address_in_use' : 'bind_failed', { detail: `${host}:${port}: ${reason}`, cause });
  }
  return (app.server.address() as AddressInfo).port;
}

/** New connections meet the new certificate; those that there are keep what they have agreed on. */
function renew(app: ServiceApp, tls: ServerTls): void {
  const { server } = app as unknown as { readonly server: { setSecureContext: (context: object) => void } };
  tls.onRenewed(() => server.setSecureContext(tls.context()));
}

async function end(app: ServiceApp, deadline: AbortSignal): Promise<void> {
  const cut = (): void => app.server.closeAllConnections();
  let cutting: NodeJS.Timeout | undefined;
  const begin = (): void => {
    cut();
    cutting = setInterval(cut, CUT_AGAIN_MS);
  };
  deadline.addEventListener('abort', begin, { once: true });
  if (deadline.aborted) begin();
  try {
    await app.close();
  } finally {
    deadline.removeEventListener('abort', begin);
    clearInterval(cutting);
  }
}
