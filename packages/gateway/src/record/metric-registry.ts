import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Sample } from './metric-cells.js';
import type { MetricDefinition } from './metric-definitions.js';

type Description = Awaited<ReturnType<Gauge['get']>>;

/** One value of a metric, or of one line of a histogram, whose ending `metricName` then has. */
export interface CollectedValue {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

/** A metric with its values, as `/metrics` would show it. */
export interface CollectedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: MetricDefinition['type'];
  readonly values: readonly CollectedValue[];
}

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

/** A registry with the defined metrics; `read` is asked for the samples of each of them at every scrape. */
export async function createRegistry<Name extends string>(
  definitions: Readonly<Record<Name, MetricDefinition>>,
  read: (name: Name) => readonly Sample[],
): Promise<Registry> {
  const registry = new Registry();
  for (const [name, definition] of Object.entries<MetricDefinition>(definitions)) {
    registry.registerMetric(new KeptElsewhere(await describe(name, definition), () => read(name as Name)));
  }
  return registry;
}

/** Adds the metrics of the Node process, which are counted from now on. */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
}

/** What a registry would show at this moment, as values. */
export async function collectMetrics(registry: Registry): Promise<readonly CollectedMetric[]> {
  const metrics = await registry.getMetricsAsJSON();
  // The declared type of `type` is a numeric enum; what is there is the word.
  return metrics.map(({ name, help, type, values }) => ({
    name,
    help,
    type: type as unknown as CollectedMetric['type'],
    values: values.map(defined),
  }));
}

/** Labels without those that have no value. */
function defined({
  labels,
  ...value
}: {
  readonly labels: Readonly<Record<string, string | number | undefined>>;
  readonly value: number;
}): CollectedValue {
  const known = Object.entries(labels).filter((label): label is [string, string | number] => label[1] !== undefined);
  return { ...value, labels: Object.fromEntries(known) };
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
