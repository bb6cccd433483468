import { chaperoneBuckets, chaperoneMetricDefinitions } from './chaperone-metric-definitions.js';
import { durationBuckets, type MetricDefinition, metricDefinitions } from './metric-definitions.js';
import { eventFields } from './request-event.js';

/** docs/events.md: what is in the log, made from the table that the writer of the events is tested against. */
export function eventsPage(): string {
  const rows = eventFields.map(({ name, type, unit, meaning, present }) => [
    `\`${name}\``,
    unit === '' ? type : `${type}, ${unit}`,
    meaning,
    present,
  ]);
  return page('Events', [
    'Sallyport writes one line of JSON for every exchange at its end, whether it was completed, refused, failed or abandoned: the ' +
      'request event. Request events have `"msg":"exchange"`; the other lines of the log are sentences for people with fields for machines. ' +
      'All lines have the shape of pino (`level`, `time`, `msg`), so tools for pino read them.',
    table(['Field', 'Type', 'Meaning', 'Present'], rows),
    'A field that is not there is left out, never null. Texts that are longer than their limit are cut and end in `…`. ' +
      'Durations have up to three decimals.',
    '## What is never in it',
    'Bodies, the values of headers, and the query of a URL, unless `log.target` is `full`. A secret that was placed into a request and turns up in the path, the host, the ' +
      'method, the request id or the detail of an error, as it is or written with percent signs, is replaced by `[secret]`.',
    '## When the destination does not keep up',
    'Events wait in a bounded queue and never hold up a request. When the queue is full, new events are lost; they are counted in ' +
      '`sallyport_events_dropped_total`, and as soon as writing works again a line of level 40 says in `lost` how many there were.',
  ]);
}

/** docs/metrics.md: what `/metrics` of the ops listener shows, made from the definitions that it is rendered from. */
export function metricsPage(): string {
  return page('Metrics', [
    'The ops listener answers `GET /metrics` in the text format of Prometheus. Every label takes its values from a bounded set: neither callers ' +
      'nor hosts nor paths are labels. What happened in one exchange is in the log; see [events](events.md).',
    metricTable(metricDefinitions),
    `The durations are counted in the buckets ${durationBuckets.join(', ')} seconds and beyond.`,
    'While the sidecar listens, the metrics of Chaperone are there as well, under its names, so that dashboards and alerts made for it go on working:',
    metricTable(chaperoneMetricDefinitions),
    `Their durations are counted in the buckets ${chaperoneBuckets.join(', ')} seconds and beyond.`,
    'The same numbers go to a collector where the configuration says so; see [telemetry](telemetry.md).',
    'On top come the metrics of the process and of Node.js: `process_…` and `nodejs_…`, counted from the first scrape on where they need counting.',
  ]);
}

function metricTable(definitions: Readonly<Record<string, MetricDefinition>>): string {
  const rows = Object.entries(definitions).map(([name, { type, help, labels }]) => [`\`${name}\``, type, help, labelList(labels)]);
  return table(['Metric', 'Type', 'Meaning', 'Labels'], rows);
}

function labelList(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, meaning]) => `\`${name}\`: ${meaning}`)
    .join('; ');
}

function page(title: string, paragraphs: readonly string[]): string {
  const origin = '<!-- Generated from packages/gateway/src/record by `npx vitest run reference-pages -u`; do not edit. -->';
  return `${[`# ${title}`, origin, ...paragraphs].join('\n\n')}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
