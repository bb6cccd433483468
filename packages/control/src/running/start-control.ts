import type { Logger } from '@sallyport/gateway';
import { SallyportError } from '@sallyport/sdk';
import { type ConfiguredActors, syncConfiguredActors } from '../actors/actor-tasks.js';
import type { ControlConfig } from '../config/control-section.js';
import { type ControlPlane, openControlPlane } from '../control-plane.js';
import type { Bus } from '../coordination/bus.js';
import { createRateLimiter } from '../coordination/rate-limiter.js';
import type { ServiceName } from '../server/operation.js';
import type { ServiceAppOptions } from '../server/service-app.js';
import { corsPolicy } from '../sessions/cors-policy.js';
import { countSessions } from '../sessions/session-counts.js';
import { countTasks } from '../tasks/task-counts.js';
import type { StartOptions } from '../tasks/tasks.js';
import { backgroundFigures } from './background-figures.js';
import { type Close, closeAll } from './close-all.js';
import { type ControlLog, controlLog } from './control-log.js';
import { createControlMetrics } from './control-metrics.js';
import { type Busy, drain } from './drain.js';
import { type ListeningService, listen, type ServiceAddress } from './listening-service.js';
import { openIssuers } from './open-issuers.js';
import { openStores, type Stores } from './open-stores.js';
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
  /** Where each service answers for its health, if that is a port of its own. */
  readonly healthPorts: Readonly<Partial<Record<ServiceName, number>>>;
  /**
   * Is not ready at once, lets requests and tasks in hand finish for as long as is configured, or until the signal aborts, and closes everything. Asked
   * again, it is the same end. Rejects when something could not be ended; everything else has been then.
   */
  readonly stop: (hurry?: AbortSignal) => Promise<void>;
}

/** The keys of the services in the configuration. */
const configKeys = { public: 'public', api: 'api', 'admin-api': 'admin_api', worker: 'worker' } as const;

/** How often what costs a query is counted for the metrics. */
const COUNT_EVERY_MS = 30_000;

/** Opens everything that is configured and serves. Rejects when something of it cannot be used, and leaves nothing open then. */
export async function startControl(config: ControlConfig, { services, logger, version }: ControlOptions): Promise<RunningControl> {
  const closing: Close[] = [];
  const log = controlLog(logger);
  let stopping = false;
  try {
    const stores = await openStores(config);
    closing.push(stores.close);
    const { bus, redis } = stores;
    const issuers = await openIssuers(config.system_auth.issuers);
    closing.push(issuers.close);
    const limiter = createRateLimiter({ bus, ...(redis === undefined ? {} : { redis }), rules: config.rate_limits });
    closing.push(() => limiter.close());
    const works = services.includes('worker');
    const counts = backgroundFigures(() => figuresOf(stores), COUNT_EVERY_MS);
    closing.push(counts.close);
    const metrics = createControlMetrics({
      version,
      sources: {
        busListening: () => bus.listening(),
        rateLimitsDegraded: () => limiter.health().degraded,
        runner: works ? () => plane.tasks.health() : null,
        // All processes would say the same of the installation.
        counts: () => (works ? counts.latest() : undefined),
      },
    });
    const options = planeOptions(config);
    const plane = await openControlPlane({
      ...{ ...options, database: stores.database, issuers: issuers.issuers },
      tasks: {
        ...options.tasks,
        onProblem: ({ error, taskId, taskName }) => {
          if (taskName !== undefined) metrics.taskFailed(taskName);
          log.trouble(error, { task_id: taskId, task: taskName });
        },
      },
      healthChecks: {
        bus: async () => requireListening(bus),
        ...(works ? { tasks: async () => requireRunning(plane) } : {}),
      },
      stopping: () => stopping,
    });
    await syncActors(plane, options.configuredActors, log);
    const throttle = throttleBy(limiter, config.rate_limits, metrics);
    const listening: [ServiceName, ListeningService][] = [];
    for (const service of services) {
      const address: ServiceAddress = config.services[configKeys[service]];
      const app: Omit<ServiceAppOptions, 'tls'> = {
        ...{ service, version, throttle, operations: plane.operations, identify: plane.identify, once: plane.once },
        onServed: (request) => {
          metrics.served(request);
          log.request(request);
        },
        ...forBrowsers(plane, config, service),
      };
      const opened = await listen(address, app, { metrics, onTrouble: (error) => log.trouble(error, { service }) });
      listening.push([service, opened]);
      closing.push(opened.close);
    }
    const runner = works ? await plane.tasks.start(runnerOptions(config)) : undefined;
    let ended: Promise<void> | undefined;
    return {
      plane,
      ports: Object.fromEntries(listening.map(([service, { port }]) => [service, port])),
      healthPorts: Object.fromEntries(listening.flatMap(([service, { healthPort }]) => (healthPort === undefined ? [] : [[service, healthPort]]))),
      stop: (hurry) => {
        stopping = true;
        ended ??= end({ services: listening.map(([, service]) => service), runner }, config.shutdown.drain, hurry, closing);
        return ended;
      },
    };
  } catch (error) {
    // What is wrong is why it does not start, not what cannot be ended on top of it.
    await closeAll(closing).catch(() => undefined);
    throw error;
  }
}

/** What is in hand finishes, and everything is closed, whatever of it cannot be ended. */
async function end(busy: Busy, drainMs: number, hurry: AbortSignal | undefined, closing: readonly Close[]): Promise<void> {
  try {
    await drain(busy, drainMs, hurry);
  } finally {
    await closeAll(closing);
  }
}

/** Before anybody is served, so that whoever the file names can sign in at once. */
async function syncActors({ sources, namespaces }: ControlPlane, configuredActors: ConfiguredActors, log: ControlLog): Promise<void> {
  const { conflicts, left_out: leftOut } = await syncConfiguredActors({ sources, namespaces }, configuredActors);
  for (const name of conflicts) {
    log.trouble(new SallyportError('actor_exists', { detail: `The actor ${JSON.stringify(name)} was made elsewhere, and is left as it is.` }));
  }
  for (const path of leftOut) {
    log.trouble(new SallyportError('namespace_not_active', { detail: `The namespace ${path} is being deleted, so no actor is put into it.` }));
  }
}

/** What a service does about pages in browsers, and about the balancers in front of it. */
function forBrowsers(
  { browsers }: ControlPlane,
  { services }: ControlConfig,
  service: ServiceName,
): Pick<ServiceAppOptions, 'sessionCookie' | 'cors' | 'trustedProxies'> {
  const settings = browsers.get(service);
  const trustedProxies = service === 'worker' ? [] : services[configKeys[service]].trusted_proxies;
  if (settings !== undefined) return { trustedProxies, sessionCookie: settings.cookie, cors: settings.cors };
  const allowedOrigins = service === 'api' ? services.api.cors.allowed_origins : [];
  return { trustedProxies, cors: corsPolicy({ allowedOrigins, allowCredentials: false }) };
}

async function figuresOf({ database }: Stores) {
  return { tasks: await countTasks(database), sessions: await countSessions(database, Date.now()) };
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
