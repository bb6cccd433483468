import { type HrTime, ValueType } from '@opentelemetry/api';
import { AggregationTemporality, type DataPoint, DataPointType, type Histogram, type MetricData } from '@opentelemetry/sdk-metrics';
import type { CollectedMetric, CollectedValue } from '../metric-registry.js';

/** Units by the endings of the names, in the notation that OpenTelemetry asks for (UCUM). */
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/_seconds(?:_total)?$/, 's'],
  [/_bytes(?:_total)?$/, 'By'],
];

/** When the counting began and when it was read. */
interface Period {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
}

/**
 * A metric as OpenTelemetry has it, under the name it has at `/metrics`, so that both tell the same to whoever reads them: counters are sums that only
 * grow, buckets count for themselves alone. Null for one without a value.
 */
export function metricData({ name, help, type, values }: CollectedMetric, period: Period): MetricData | null {
  const unit = UNITS.find(([ending]) => ending.test(name))?.[1] ?? '';
  const common = {
    descriptor: { name, description: help, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  if (type === 'histogram') {
    const dataPoints = histogramPoints(name, values, period);
    return dataPoints.length === 0 ? null : { ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints = values
    .filter(({ value }) => Number.isFinite(value))
    .map(({ labels, value }) => ({ ...period, attributes: attributesOf(labels), value }));
  if (dataPoints.length === 0) return null;
  if (type === 'gauge') return { ...common, dataPointType: DataPointType.GAUGE, dataPoints };
  return { ...common, dataPointType: DataPointType.SUM, dataPoints, isMonotonic: true };
}

interface Series {
  readonly attributes: Record<string, string>;
  readonly boundaries: number[];
  readonly counts: number[];
  below: number;
  sum: number;
  count: number;
}

/** The lines of one histogram, series by series; the buckets of a series stand in the order of their bounds. */
function histogramPoints(name: string, values: readonly CollectedValue[], period: Period): DataPoint<Histogram>[] {
  const series = new Map<string, Series>();
  for (const { labels, value, metricName } of values) {
    const { le, ...own } = labels;
    const attributes = attributesOf(own);
    const key = JSON.stringify(attributes);
    const one = series.get(key) ?? { attributes, boundaries: [], counts: [], below: 0, sum: 0, count: 0 };
    series.set(key, one);
    if (metricName === `${name}_sum`) one.sum = value;
    else if (metricName === `${name}_count`) one.count = value;
    else {
      if (le !== '+Inf') one.boundaries.push(Number(le));
      one.counts.push(value - one.below);
      one.below = value;
    }
  }
  return [...series.values()].map(({ attributes, boundaries, counts, sum, count }) => ({
    ...period,
    attributes,
    value: { buckets: { boundaries, counts }, sum, count },
  }));
}

function attributesOf(labels: CollectedValue['labels']): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}
