import type { Exchange } from '../exchange.js';
import { chaperoneMetricDefinitions } from './chaperone-metric-definitions.js';
import { createChaperoneMetrics } from './chaperone-metrics.js';
import { createExchangeCells, type Sample } from './metric-cells.js';
import { type MetricName, metricDefinitions } from './metric-definitions.js';
import type { CollectedMetric } from './metric-registry.js';
import { createPluginCells, type PluginCells } from './plugin-cells.js';

/** A metric whose value somebody else knows and is asked for at every scrape. */
type WatchedMetric =
  | 'sallyport_active_exchanges'
  | 'sallyport_client_connections'
  | 'sallyport_upstream_connections'
  | 'sallyport_tunnels'
  | 'sallyport_events_dropped_total'
  | 'sallyport_spans_dropped_total'
  | 'sallyport_certificate_not_after_seconds';

/** The labels that a metric is watched with: all of its own, each with one value. */
type LabelsOf<Name extends MetricName> = Readonly<Record<keyof (typeof metricDefinitions)[Name]['labels'], string>>;

/** What a scrape is answered with. */
interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/** The metrics of one gateway. */
export interface Metrics {
  /** Counts a finished exchange. Never throws; meant for the hot path. */
  observe(exchange: Exchange): void;
  /** The configured names of credentials; again after every reload. Injections of any other are counted together as `other`. */
  setCredentials(names: Iterable<string>): void;
  /** Whether the sidecar listens; again after every reload. While it does, the metrics of Chaperone are shown too. */
  setSidecar(listens: boolean): void;
  /** Counts an attempt to apply a changed configuration. */
  configReloaded(result: 'applied' | 'rejected'): void;
  /** Counts a call of a plugin with how long it took, milliseconds. */
  readonly pluginCalled: PluginCells['observe'];
  /** Counts an attempt to get hold of the material of a credential anew. */
  credentialFetched(succeeded: boolean): void;
  /** Counts an attempt to install a certificate for the sidecar that the platform has renewed. */
  certificateRenewed(succeeded: boolean): void;
  /** Counts a mistake of ours that was noticed and contained. */
  internalFault(): void;
  /**
   * From now on every scrape asks `read` for the value that belongs to these labels, in place of whoever was asked for it before. Null: there is none at
   * the moment.
   */
  watch<Name extends WatchedMetric>(name: Name, labels: LabelsOf<Name>, read: () => number | null): void;
  /** Everything in Prometheus' text format 0.0.4, with the metrics of the Node process. */
  render(): Promise<Exposition>;
  /** The same as values. */
  collect(): Promise<readonly CollectedMetric[]>;
}

/** Makes the metrics, all at zero. The library that renders them is loaded at the first scrape: that takes as long as all the rest of a start. */
export function createMetrics({ version }: { readonly version: string }): Metrics {
  const cells = createExchangeCells();
  const plugin = createPluginCells();
  const watched = new Map<string, { name: WatchedMetric; labels: Readonly<Record<string, string>>; read: () => number | null }>();
  const chaperone = createChaperoneMetrics({
    activeRequests: () => watched.get('sallyport_active_exchanges sidecar')?.read() ?? 0,
    certNotAfter: () => watched.get('sallyport_certificate_not_after_seconds sidecar')?.read() ?? null,
  });
  const reloads = { applied: 0, rejected: 0 };
  const fetches = { succeeded: 0, failed: 0 };
  let faults = 0;
  let sidecarListens = false;
  let registries: ReturnType<typeof loadRegistries> | undefined;
  /** What the cells held when they were last asked, once for all their metrics. */
  let scraped: { own: ReturnType<typeof cells.samples>; compatible: ReturnType<typeof chaperone.samples> } | null = null;

  async function loadRegistries() {
    const { addProcessMetrics, collectMetrics, createRegistry } = await import('./metric-registry.js');
    const own = await createRegistry(metricDefinitions, (name) => ownSamples(name));
    addProcessMetrics(own);
    const compatible = await createRegistry(chaperoneMetricDefinitions, (name) => scraped?.compatible.get(name) ?? []);
    return {
      scrape: () => {
        scraped = { own: cells.samples(), compatible: chaperone.samples() };
        return sidecarListens ? [own, compatible] : [own];
      },
      collectMetrics,
    };
  }

  function ownSamples(name: MetricName): readonly Sample[] {
    switch (name) {
      case 'sallyport_config_reloads_total':
        return [
          { labels: { result: 'applied' }, value: reloads.applied },
          { labels: { result: 'rejected' }, value: reloads.rejected },
        ];
      case 'sallyport_credential_fetches_total':
        return [
          { labels: { result: 'succeeded' }, value: fetches.succeeded },
          { labels: { result: 'failed' }, value: fetches.failed },
        ];
      case 'sallyport_plugin_duration_seconds':
        return plugin.samples();
      case 'sallyport_internal_faults_total':
        return [{ labels: {}, value: faults }];
      case 'sallyport_build_info':
        return [{ labels: { version, node: process.versions.node }, value: 1 }];
      default:
        return scraped?.own.get(name) ?? watchedSamples(name);
    }
  }

  function watchedSamples(name: MetricName): readonly Sample[] {
    const samples: Sample[] = [];
    for (const { name: one, labels, read } of watched.values()) {
      if (one !== name) continue;
      const value = read();
      if (value !== null) samples.push({ labels, value });
    }
    return samples;
  }

  return {
    observe(exchange) {
      cells.observe(exchange);
      if (exchange.door === 'sidecar') chaperone.observe(exchange);
    },
    setCredentials: cells.setCredentials,
    setSidecar(listens) {
      sidecarListens = listens;
    },
    configReloaded(result) {
      reloads[result]++;
    },
    pluginCalled: plugin.observe,
    credentialFetched(succeeded) {
      fetches[succeeded ? 'succeeded' : 'failed']++;
    },
    certificateRenewed(succeeded) {
      chaperone.certRenewal(succeeded);
    },
    internalFault() {
      faults++;
      chaperone.panic();
    },
    watch(name, labels, read) {
      const values: Readonly<Record<string, string>> = labels;
      const key = [name, ...Object.keys(metricDefinitions[name].labels).map((label) => values[label])].join(' ');
      watched.set(key, { name, labels: values, read });
    },
    async render() {
      registries ??= loadRegistries();
      const shown = (await registries).scrape();
      const texts = await Promise.all(shown.map((registry) => registry.metrics()));
      return { contentType: shown[0].contentType, text: texts.join('\n') };
    },
    async collect() {
      registries ??= loadRegistries();
      const { scrape, collectMetrics } = await registries;
      return (await Promise.all(scrape().map(collectMetrics))).flat();
    },
  };
}
