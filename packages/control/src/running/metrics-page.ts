import { type ControlMetricDefinition, controlMetricDefinitions, durationBuckets } from './metric-definitions.js';

/** docs/control-plane-metrics.md: what `/metrics` of the control plane shows, made from the definitions that it is rendered from. */
export function controlMetricsPage(): string {
  const rows = Object.entries<ControlMetricDefinition>(controlMetricDefinitions).map(([name, { type, help, labels }]) => {
    const meanings = Object.entries(labels).map(([label, meaning]) => `\`${label}\`: ${meaning}`);
    return `| \`${name}\` | ${type} | ${help} | ${meanings.join('; ')} |`;
  });
  const paragraphs = [
    '# Metrics of the control plane',
    '<!-- Generated from packages/control/src/running by `npx vitest run metrics-page -u`; do not edit. -->',
    'The worker answers `GET /metrics` on its port, and every service with a `health_port` on that, in the text format of Prometheus and for whoever ' +
      'reaches the port. Every label takes its values from a bounded set: neither actors nor namespaces nor ids are labels. No scrape waits for the ' +
      'database. Those of the gateway are in [metrics](metrics.md).',
    ['| Metric | Type | Meaning | Labels |', '| --- | --- | --- | --- |', ...rows].join('\n'),
    `The durations are counted in the buckets ${durationBuckets.join(', ')} seconds and beyond.`,
    'On top come the metrics of the process and of Node.js: `process_…` and `nodejs_…`, counted from the first scrape on where they need counting.',
  ];
  return `${paragraphs.join('\n\n')}\n`;
}
