import { type Plugin, SallyportError } from '@sallyport/sdk';
import { type CertificateCare, careForCertificate } from './certificate-care.js';
import { compile, type Lasting } from './compile.js';
import { pluginDefaults } from './config/schema/plugin.js';
import type { GatewayConfig } from './config/schema.js';
import { forwardDoor, forwardListener, sidecarDoor, sidecarListener } from './doors/doors.js';
import type { ForwardDoor } from './doors/forward-door.js';
import type { Listener, ListenerOptions } from './doors/listener.js';
import { createOpsServer, type OpsServer } from './doors/ops/ops-server.js';
import type { ReadinessReport } from './doors/ops/readiness.js';
import type { SidecarDoor } from './doors/sidecar-door.js';
import type { Exchange } from './exchange.js';
import { CallerRegistry } from './pipeline/callers.js';
import type { Runtime } from './pipeline/runtime.js';
import { FailureThrottle } from './pipeline/throttle.js';
import type { PluginFactory } from './plugins/load-plugin.js';
import { SharedCredentials } from './providers/shared-credentials.js';
import { createEventLog, type EventLog } from './record/event-log.js';
import type { Logger } from './record/logger.js';
import { createMetrics, type Metrics } from './record/metrics.js';
import { pluginFailureFields } from './record/plugin-failure.js';
import { createRecorder } from './record/recorder.js';
import { startTelemetry, type Telemetry } from './record/telemetry/telemetry.js';
import { type Authority, openAuthority } from './tls/authority.js';
import { LeafContexts } from './tls/leaf-contexts.js';
import { type ForwardedConfig, readForwardedCertificates } from './tls/mutual/forwarded-files.js';
import { type ListenerTls, readListenerTls, type TlsFiles } from './tls/mutual/listener-tls.js';
import { certificateNotAfter } from './tls/renewal/expiry.js';
import type { KeyPair } from './tls/renewal/rehearsal.js';
import type { SigningServices } from './tls/renewal/signing-endpoint.js';
import type { Tunnel } from './wire/tunnel.js';

/** How a gateway is started, beyond its configuration. */
export interface GatewayOptions {
  readonly version: string;
  /** Hears of every finished exchange, after it was recorded. Must not change it, and must not throw. */
  readonly onExchange?: (exchange: Exchange) => void;
  /** A plugin, or what makes one, in the place of the one that the configuration names. */
  readonly plugin?: Plugin | PluginFactory;
}

/** Where the doors of a running gateway are; null for one that is not configured. */
export interface Ports {
  readonly forward: number | null;
  readonly sidecar: number | null;
  readonly ops: number | null;
}

interface Open<D extends ForwardDoor | SidecarDoor> {
  /** What cannot change without opening another port. */
  readonly key: string;
  readonly options: ListenerOptions;
  readonly listener: Listener<D>;
  readonly port: number;
}

/** Where a door listens, and how its clients prove who they are. */
interface ListenerConfig extends ForwardedConfig {
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsFiles | undefined;
}

/** A listener, whichever door it is for. */
type Closable = Pick<Listener<ForwardDoor>, 'connections' | 'drain' | 'destroy'>;

const QUEUED_EVENTS = 65_536;
const DRAIN_POLL = 50;

/**
 * A running gateway: its doors, and the configuration they serve at the moment. Made by `startGateway`.
 */
export class Gateway {
  readonly authority: Authority;
  readonly log: EventLog;
  /** Callers that are registered at run time: what `sallyport run` hands out. */
  readonly runs: CallerRegistry;
  readonly #lasting: Lasting;
  readonly #metrics: Metrics;
  readonly #telemetry: Telemetry;
  readonly #version: string;
  readonly #certificate: CertificateCare;
  #config: GatewayConfig;
  #runtime: Runtime;
  #forward: Open<ForwardDoor> | null = null;
  #sidecar: Open<SidecarDoor> | null = null;
  /** Listeners of earlier configurations on which something may still be under way. */
  readonly #former = new Set<Closable>();
  #ops: { readonly key: string; readonly server: OpsServer; readonly port: number } | null = null;
  #state: ReadinessReport['state'] = 'starting';
  #lastReloadFailure: string | null = null;

  constructor(parts: {
    config: GatewayConfig;
    runtime: Runtime;
    lasting: Lasting;
    authority: Authority;
    log: EventLog;
    metrics: Metrics;
    telemetry: Telemetry;
    version: string;
  }) {
    this.#config = parts.config;
    this.#runtime = parts.runtime;
    this.#lasting = parts.lasting;
    this.runs = parts.lasting.runs;
    this.authority = parts.authority;
    this.log = parts.log;
    this.#metrics = parts.metrics;
    this.#telemetry = parts.telemetry;
    this.#version = parts.version;
    this.#certificate = careForCertificate({
      config: () => this.#config,
      served: () => this.#sidecar?.options.tls ?? null,
      install: (pair) => this.#install(pair),
      logger: parts.log.logger,
      onRenewal: (installed) => this.#metrics.certificateRenewed(installed),
    });
    this.#watch();
  }

  get logger(): Logger {
    return this.log.logger;
  }

  /** The configuration that is in force. */
  get config(): GatewayConfig {
    return this.#config;
  }

  get ports(): Ports {
    return { forward: this.#forward?.port ?? null, sidecar: this.#sidecar?.port ?? null, ops: this.#ops?.port ?? null };
  }

  /** Opens every configured listener. When one cannot be opened, none stays open. */
  async open(): Promise<void> {
    try {
      await this.#openListeners(this.#config, this.#runtime);
      await this.#certificate.reload();
    } catch (error) {
      await this.#ops?.server.close();
      this.#runtime.retire();
      throw error;
    }
    this.#state = 'ready';
  }

  /**
   * Applies another valid configuration. Listeners that did not move stay open, with their connections; requests that are under way end under the
   * configuration they began with. On an error everything stays as it was.
   */
  async reload(config: GatewayConfig): Promise<void> {
    try {
      refuseFixed(this.#config, config);
      const runtime = await compile(config, this.#lasting);
      try {
        await this.#openListeners(config, runtime);
      } catch (error) {
        runtime.retire();
        throw error;
      }
      const before = this.#runtime;
      this.#config = config;
      this.#runtime = runtime;
      before.retire();
      await this.#certificate.reload();
      this.#metrics.setCredentials(Object.keys(config.credentials));
      this.#metrics.setSidecar(config.listeners.sidecar !== undefined);
      this.#metrics.configReloaded('applied');
      this.#lastReloadFailure = null;
    } catch (error) {
      this.noteRejectedReload(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  /** A changed configuration that is not valid and was not applied: the old one goes on, and readiness says so. */
  noteRejectedReload(sentence: string): void {
    this.#metrics.configReloaded('rejected');
    this.#lastReloadFailure = sentence;
  }

  /** Stops accepting, waits for what is in flight, at most as long as the configuration allows, then closes. An abort closes at once. */
  async stop(signal?: AbortSignal): Promise<void> {
    this.#state = 'draining';
    this.#certificate.stop();
    for (const listener of this.#listeners()) listener.drain();
    const end = performance.now() + this.#config.shutdown.drain;
    while (this.#busy() && performance.now() < end && signal?.aborted !== true) await pause(DRAIN_POLL, signal);
    for (const tunnel of this.#lasting.tunnels) tunnel.destroy();
    await Promise.all(this.#listeners().map((listener) => listener.destroy()));
    this.#runtime.retire();
    // Never cut short: a refresh token that was issued and is not saved would be lost.
    await this.#lasting.shared.close();
    await this.#ops?.server.close();
    await this.#telemetry.stop(within(Math.max(0, end - performance.now()), signal));
    await this.log.close(signal);
  }

  #busy(): boolean {
    return this.#lasting.tunnels.size > 0 || this.#listeners().some((listener) => listener.connections > 0);
  }

  #listeners(): Closable[] {
    const open = [this.#forward?.listener, this.#sidecar?.listener].filter((listener) => listener !== undefined);
    return [...open, ...this.#former];
  }

  async #openListeners(config: GatewayConfig, runtime: Runtime): Promise<void> {
    const door = sidecarDoor(config, { version: this.#version, renewal: this.#certificate.renewal });
    let forward: Open<ForwardDoor> | null = null;
    let sidecar: Open<SidecarDoor> | null = null;
    try {
      forward = await this.#place(this.#forward, config.listeners.forward, 'gateway.listeners.forward', config, (options) =>
        forwardListener(options, { runtime, door: forwardDoor(config) }),
      );
      if (door !== null)
        sidecar = await this.#place(this.#sidecar, config.listeners.sidecar, 'gateway.listeners.sidecar', config, (options) =>
          sidecarListener(options, { runtime, door }),
        );
      await this.#placeOps(config);
    } catch (error) {
      await Promise.all([discard(forward, this.#forward), discard(sidecar, this.#sidecar)]);
      throw error;
    }
    // Only now that nothing can fail any more do the doors change over.
    forward?.listener.update(forward.options);
    sidecar?.listener.update(sidecar.options);
    this.#leave(this.#forward, forward);
    this.#leave(this.#sidecar, sidecar);
    if (forward !== null) forward.listener.current = { runtime, door: forwardDoor(config) };
    if (sidecar !== null && door !== null) sidecar.listener.current = { runtime, door };
    this.#forward = forward;
    this.#sidecar = sidecar;
  }

  /** Takes a renewed certificate into use for new connections. */
  #install({ cert, key }: KeyPair): void {
    const open = this.#sidecar;
    if (open === null || open.options.tls === null) return;
    const options = { ...open.options, tls: { ...open.options.tls, cert, key } };
    open.listener.update(options);
    this.#sidecar = { ...open, options };
  }

  /** Stops accepting at a port that the next configuration does not have; what is under way there ends there. */
  #leave<D extends ForwardDoor | SidecarDoor>(before: Open<D> | null, after: Open<D> | null): void {
    for (const former of this.#former) if (former.connections === 0) this.#former.delete(former);
    if (before === null || before.listener === after?.listener) return;
    before.listener.drain();
    this.#former.add(before.listener);
  }

  /** The open listener when its place did not change, otherwise a new one. */
  async #place<D extends ForwardDoor | SidecarDoor>(
    open: Open<D> | null,
    wanted: ListenerConfig | undefined,
    place: string,
    config: GatewayConfig,
    make: (options: ListenerOptions) => Listener<D>,
  ): Promise<Open<D> | null> {
    if (wanted === undefined) return null;
    const { host, port } = wanted;
    const tls = wanted.tls === undefined ? null : await readListenerTls(wanted.tls, `${place}.tls`);
    const forwarded = await readForwardedCertificates(wanted, place);
    const kind = tls === null ? 'plain' : tls.trust === null ? 'tls' : 'mutual';
    const key = JSON.stringify([host, port, kind]);
    const options = { host, port, tls, forwarded, maxConnections: config.limits.connections };
    if (open !== null && open.key === key) return { ...open, options };
    // The port is still taken, and a connection that was made under the other terms could not be told from the rest.
    if (open !== null && port !== 0 && open.options.host === host && open.options.port === port) throw restartNeeded(`${place}.tls`);
    const listener = make(options);
    return { key, options, listener, port: await listener.listen() };
  }

  async #placeOps({ listeners: { ops } }: GatewayConfig): Promise<void> {
    const key = ops === undefined ? '' : JSON.stringify([ops.host, ops.port]);
    if (this.#ops !== null && this.#ops.key === key) return;
    const before = this.#ops;
    if (ops === undefined) this.#ops = null;
    else {
      const server = createOpsServer({
        metrics: this.#metrics,
        version: this.#version,
        readiness: () => this.#readiness(),
        signing: () => this.#signing(),
      });
      this.#ops = { key, server, port: await server.listen(ops.host, ops.port) };
    }
    await before?.server.close();
  }

  #signing(): SigningServices {
    const { plugin } = this.#runtime;
    const signs = plugin?.host.methods.has('signCsr') === true;
    return {
      signer: signs ? { signCsr: (csr, { signal }) => plugin.host.signCsr(csr, signal) } : null,
      timeout: (this.#config.plugin ?? pluginDefaults).timeout,
    };
  }

  #readiness(): ReadinessReport {
    // A rejected reload is for the log and the metrics: the gateway works, and a balancer has no better one to turn to.
    return { state: this.#state, failing: [] };
  }

  /** Why the last reload was not applied; null when it was, or when there was none. */
  get lastReloadFailure(): string | null {
    return this.#lastReloadFailure;
  }

  #watch(): void {
    const metrics = this.#metrics;
    metrics.setCredentials(Object.keys(this.#config.credentials));
    metrics.setSidecar(this.#config.listeners.sidecar !== undefined);
    metrics.watch('sallyport_client_connections', { door: 'forward' }, () => this.#forward?.listener.connections ?? 0);
    metrics.watch('sallyport_client_connections', { door: 'sidecar' }, () => this.#sidecar?.listener.connections ?? 0);
    metrics.watch('sallyport_active_exchanges', { door: 'forward' }, () => this.#forward?.listener.busy ?? 0);
    metrics.watch('sallyport_active_exchanges', { door: 'sidecar' }, () => this.#sidecar?.listener.busy ?? 0);
    metrics.watch('sallyport_upstream_connections', { state: 'idle' }, () => this.#runtime.pool.idleCount);
    metrics.watch('sallyport_upstream_connections', { state: 'active' }, () => this.#runtime.pool.openCount - this.#runtime.pool.idleCount);
    metrics.watch('sallyport_certificate_not_after_seconds', { listener: 'forward' }, () => expirySeconds(this.#forward?.options.tls));
    metrics.watch('sallyport_certificate_not_after_seconds', { listener: 'sidecar' }, () => expirySeconds(this.#sidecar?.options.tls));
    metrics.watch('sallyport_tunnels', {}, () => this.#lasting.tunnels.size);
    metrics.watch('sallyport_events_dropped_total', {}, () => this.log.dropped);
  }
}

/** Starts a gateway: opens or makes the authority, compiles the configuration, and opens the listeners. Errors: as its parts, each with its own code. */
export async function startGateway(config: GatewayConfig, options: GatewayOptions): Promise<Gateway> {
  const authority = await openAuthority({ dir: config.authority.dir, create: true });
  const metrics = createMetrics({ version: options.version });
  const { level, file, target } = config.log;
  const log = createEventLog({ destination: file === undefined ? { fd: 1 } : { file }, level, maxQueue: QUEUED_EVENTS, target });
  let telemetry: Telemetry | null = null;
  try {
    const { version } = options;
    telemetry = await startTelemetry({ config: config.telemetry, target, environment: process.env, version, metrics, logger: log.logger });
    const recorder = createRecorder({ log, metrics, traces: telemetry.traces });
    const { onExchange } = options;
    const lasting: Lasting = {
      leaves: new LeafContexts(authority, { max: config.authority.leaf_cache, lifetime: config.authority.leaf_lifetime }),
      recorder:
        onExchange === undefined
          ? recorder
          : {
              tracing: recorder.tracing,
              record(exchange) {
                recorder.record(exchange);
                onExchange(exchange);
              },
            },
      throttle: new FailureThrottle(),
      tunnels: new Set<Tunnel>(),
      runs: new CallerRegistry(),
      onCredentialFailure: (error) => log.logger.warn({ code: error.code, hint: error.hint }, error.message),
      onCredentialFetch: (succeeded) => metrics.credentialFetched(succeeded),
      onWarning: (message) => log.logger.warn(message),
      shared: new SharedCredentials(),
      plugin: options.plugin ?? null,
      onPluginCall: metrics.pluginCalled,
      onPluginFailure: (error, requestId) => log.logger.error(pluginFailureFields(error, requestId), error.message),
    };
    const runtime = await compile(config, lasting);
    const gateway = new Gateway({ config, runtime, lasting, authority, log, metrics, telemetry, version });
    await gateway.open();
    return gateway;
  } catch (error) {
    await telemetry?.stop(AbortSignal.abort());
    await log.close();
    throw error;
  }
}

/** Closes a listener that was opened for a configuration that does not come into force. */
async function discard<D extends ForwardDoor | SidecarDoor>(opened: Open<D> | null, kept: Open<D> | null): Promise<void> {
  if (opened !== null && opened.listener !== kept?.listener) await opened.listener.destroy();
}

/** What cannot change while the gateway runs: it would make certificates under another authority, or lose events on the way to another file. */
function refuseFixed(before: GatewayConfig, after: GatewayConfig): void {
  if (JSON.stringify(before.authority) !== JSON.stringify(after.authority)) throw restartNeeded('gateway.authority');
  if (JSON.stringify(before.log) !== JSON.stringify(after.log)) throw restartNeeded('gateway.log');
  if (written(before.telemetry) !== written(after.telemetry)) throw restartNeeded('gateway.telemetry');
}

/** A secret prints as nothing that could be compared. */
function written({ headers, ...rest }: GatewayConfig['telemetry']): string {
  return JSON.stringify([rest, Object.entries(headers).map(([name, value]) => [name, value.reveal()])]);
}

function restartNeeded(key: string): SallyportError {
  return new SallyportError('config_invalid', {
    detail: `${key} changed, which takes a restart`,
    hint: 'Restart the gateway, or take the change back.',
  });
}

/** When a certificate expires; null without one. */
function expirySeconds(tls: ListenerTls | null | undefined): number | null {
  const notAfter = tls == null ? null : certificateNotAfter(tls.cert);
  return notAfter === null ? null : notAfter / 1_000;
}

/** Aborts after a time, or when the signal does. */
function within(ms: number, signal: AbortSignal | undefined): AbortSignal {
  const late = new AbortController();
  // Not AbortSignal.timeout: Node 20 collects one that nothing but AbortSignal.any refers to, and then it never aborts.
  setTimeout(() => late.abort(), Math.ceil(ms)).unref();
  return signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
