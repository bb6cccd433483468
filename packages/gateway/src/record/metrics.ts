import type { Registry } from 'prom-client';
import type { Exchange } from '../exchange.js';
import { createExchangeCells, type Sample } from './metric-cells.js';
import { type MetricName, metricDefinitions } from './metric-definitions.js';

/** A metric whose value somebody else knows and is asked for at every scrape. */
type WatchedMetric =
  | 'sallyport_active_exchanges'
  | 'sallyport_client_connections'
  | 'sallyport_upstream_connections'
  | 'sallyport_tunnels'
  | 'sallyport_events_dropped_total';

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
  /** Counts an attempt to apply a changed configuration. */
  configReloaded(result: 'applied' | 'rejected'): void;
  /** Counts a mistake of ours that was noticed and contained. */
  internalFault(): void;
  /** From now on every scrape asks `read` for the value that belongs to these labels, in place of whoever was asked for it before. */
  watch<Name extends WatchedMetric>(name: Name, labels: LabelsOf<Name>, read: () => number): void;
  /** Everything in Prometheus' text format 0.0.4, with the metrics of the Node process. */
  render(): Promise<Exposition>;
}

/** Makes the metrics, all at zero. The library that renders them is loaded at the first scrape: that takes as long as all the rest of a start. */
export function createMetrics({ version }: { readonly version: string }): Metrics {
  const cells = createExchangeCells();
  const watched = new Map<string, { name: WatchedMetric; labels: Readonly<Record<string, string>>; read: () => number }>();
  const reloads = { applied: 0, rejected: 0 };
  let faults = 0;
  let registry: Promise<Registry> | undefined;
  let scraped: ReadonlyMap<MetricName, readonly Sample[]> = new Map();

  function ownSamples(): ReadonlyMap<MetricName, readonly Sample[]> {
    const samples = new Map<MetricName, readonly Sample[]>(cells.samples());
    samples.set('sallyport_config_reloads_total', [
      { labels: { result: 'applied' }, value: reloads.applied },
      { labels: { result: 'rejected' }, value: reloads.rejected },
    ]);
    samples.set('sallyport_internal_faults_total', [{ labels: {}, value: faults }]);
    samples.set('sallyport_build_info', [{ labels: { version, node: process.versions.node }, value: 1 }]);
    for (const { name, labels, read } of watched.values()) samples.set(name, [...(samples.get(name) ?? []), { labels, value: read() }]);
    return samples;
  }

  return {
    observe: cells.observe,
    setCredentials: cells.setCredentials,
    configReloaded(result) {
      reloads[result]++;
    },
    internalFault() {
      faults++;
    },
    watch(name, labels, read) {
      const values: Readonly<Record<string, string>> = labels;
      const key = [name, ...Object.keys(metricDefinitions[name].labels).map((label) => values[label])].join(' ');
      watched.set(key, { name, labels: values, read });
    },
    async render() {
      registry ??= import('./metric-registry.js').then(({ createRegistry }) => createRegistry((name) => scraped.get(name) ?? []));
      const loaded = await registry;
      scraped = ownSamples();
      return { contentType: loaded.contentType, text: await loaded.metrics() };
    },
  };
}
