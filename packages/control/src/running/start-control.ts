import type { Logger } from '@sallyport/gateway';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import type { ControlConfig } from '../config/control-section.js';
import { type ControlPlane, openControlPlane } from '../control-plane.js';
import type { Bus } from '../coordination/bus.js';
import { createRateLimiter } from '../coordination/rate-limiter.js';
import type { ServiceName } from '../server/operation.js';
import type { ServedRequest } from '../server/service-app.js';
import { corsPolicy } from '../sessions/cors-policy.js';
import type { TaskRunner } from '../tasks/runner.js';
import type { StartOptions } from '../tasks/tasks.js';
import { type ListeningService, listen, type ServiceAddress } from './listening-service.js';
import { openIssuers } from './open-issuers.js';
import { openStores } from './open-stores.js';
import { planeOptions } from './plane-options.js';
import { throttleBy } from './throttle.js';

/** What a process of the control plane is told besides its configuration. */
export interface ControlOptions {
  /** Which services this process serves; the worker also runs the tasks. */
  readonly services: readonly ServiceName[];
  readonly logger: Logger;
  readonly version: string;
}

/** A control plane that serves. */
export interface RunningControl {
  readonly plane: ControlPlane;
  /** Where each service listens. */
  readonly ports: Readonly<Partial<Record<ServiceName, number>>>;
  /** Lets requests and tasks in hand finish for as long as is configured, or until the signal aborts; then everything is closed. */
  readonly stop: (hurry?: AbortSignal) => Promise<void>;
}

/** The keys of the services in the configuration. */
const configKeys = { public: 'public', api: 'api', 'admin-api': 'admin_api', worker: 'worker' } as const;

/** Opens everything that is configured and serves. Rejects when something of it cannot be used, and leaves nothing open then. */
export async function startControl(config: ControlConfig, { services, logger, version }: ControlOptions): Promise<RunningControl> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const each of [...closing].reverse()) await each();
  };
  let stopping = false;
  try {
    const stores = await openStores(config);
    closing.push(stores.close);
    const { database, bus, redis } = stores;
    const issuers = await openIssuers(config.system_auth.issuers);
    closing.push(issuers.close);
    const limiter = createRateLimiter({ bus, ...(redis === undefined ? {} : { redis }), rules: config.rate_limits });
    closing.push(limiter.close);
    const options = planeOptions(config);
    const plane = await openControlPlane({
      ...{ ...options, database, issuers: issuers.issuers },
      tasks: {
        ...options.tasks,
        onProblem: ({ error, taskId, taskName }) => report(logger, asSallyportError(error), { task_id: taskId, task: taskName }),
      },
      healthChecks: {
        bus: async () => requireListening(bus),
        ...(services.includes('worker') ? { tasks: async () => requireRunning(plane) } : {}),
      },
      stopping: () => stopping,
    });
    const throttle = throttleBy(limiter, config.rate_limits);
    const listening: [ServiceName, ListeningService][] = [];
    for (const service of services) {
      const address: ServiceAddress & { readonly trusted_proxies?: readonly string[] } = config.services[configKeys[service]];
      const browsers = plane.browsers.get(service);
      const opened = await listen(
        address,
        {
          ...{ service, version, throttle, operations: plane.operations, identify: plane.identify, once: plane.once },
          onServed: (request) => logServed(logger, request),
          trustedProxies: address.trusted_proxies ?? [],
          ...(browsers === undefined ? {} : { sessionCookie: browsers.cookie }),
          cors:
            browsers?.cors ??
            corsPolicy({ allowedOrigins: service === 'api' ? config.services.api.cors.allowed_origins : [], allowCredentials: false }),
        },
        (error) => report(logger, error),
      );
      listening.push([service, opened]);
      closing.push(() => opened.stop(AbortSignal.abort()));
    }
    const runner = services.includes('worker') ? await plane.tasks.start(runnerOptions(config)) : undefined;
    return {
      plane,
      ports: Object.fromEntries(listening.map(([service, { port }]) => [service, port])),
      async stop(hurry) {
        stopping = true;
        await drain(listening, runner, config.shutdown.drain, hurry);
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function drain(
  listening: readonly (readonly [ServiceName, ListeningService])[],
  runner: TaskRunner | undefined,
  drainMs: number,
  hurry: AbortSignal | undefined,
): Promise<void> {
  const deadline = AbortSignal.any([AbortSignal.timeout(drainMs), ...(hurry === undefined ? [] : [hurry])]);
  await Promise.all([...listening.map(([, service]) => service.stop(deadline)), runner?.stop({ drainMs: hurry?.aborted === true ? 0 : drainMs })]);
}

function requireListening(bus: Bus): void {
  if (!bus.listening()) throw new SallyportError('bus_unavailable');
}

function requireRunning({ tasks }: ControlPlane): void {
  const { polling, cron } = tasks.health();
  if (!polling || cron === 'stopped') throw new SallyportError('not_ready');
}

function runnerOptions({ database, tasks }: ControlConfig): StartOptions {
  return { concurrency: tasks.concurrency, ...(database.provider === 'postgres' ? { postgresUrl: database.url } : {}) };
}

function report(logger: Logger, error: SallyportError, more: Readonly<Record<string, string | undefined>> = {}): void {
  // The message of what nobody expected may hold anything.
  const { name } = error.cause instanceof Error ? error.cause : { name: undefined };
  logger.warn({ code: error.code, hint: error.hint, cause: name, ...more }, error.message);
}

/** One line for each request; the path is that of the operation, so that no name and no token stands in it. */
function logServed(logger: Logger, { error, requestId, actorId, milliseconds, ...request }: ServedRequest): void {
  const fields = { ...request, request_id: requestId, actor_id: actorId, duration_ms: Math.round(milliseconds * 10) / 10 };
  if (error === undefined) logger.info(fields, 'request');
  else report(logger, error, { request_id: requestId, route: request.route ?? undefined });
}
