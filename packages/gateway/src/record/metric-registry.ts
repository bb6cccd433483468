import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Sample } from './metric-cells.js';
import { type MetricDefinition, type MetricName, metricDefinitions } from './metric-definitions.js';

type Description = Awaited<ReturnType<Gauge['get']>>;

/** A metric whose samples are kept elsewhere. The registry asks a metric for its description and its samples with `get`, and for nothing else. */
class KeptElsewhere extends Gauge {
  readonly #description: Description;
  readonly #read: () => readonly Sample[];

  constructor(description: Description, read: () => readonly Sample[]) {
    super({ name: description.name, help: description.help, registers: [] });
    this.#description = description;
    this.#read = read;
  }

  override get(): Promise<Description> {
    const values = this.#read().map(({ metric, labels, value }) =>
      metric === undefined ? { labels, value } : { labels, value, metricName: metric },
    );
    return Promise.resolve({ ...this.#description, values });
  }
}

/** A registry with the metrics of the Node process and all of ours; `read` is asked for the samples of each of them at every scrape. */
export async function createRegistry(read: (name: MetricName) => readonly Sample[]): Promise<Registry> {
  const registry = new Registry();
  for (const [name, definition] of Object.entries(metricDefinitions)) {
    registry.registerMetric(new KeptElsewhere(await describe(name, definition), () => read(name as MetricName)));
  }
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** What the library says about an empty metric of that type, so that its words for the types stay its own affair. */
function describe(name: string, { type, help }: MetricDefinition): Promise<Description> {
  const configuration = { name, help, registers: [] };
  switch (type) {
    case 'counter':
      return new Counter(configuration).get();
    case 'gauge':
      return new Gauge(configuration).get();
    case 'histogram':
      return new Histogram(configuration).get();
  }
}
