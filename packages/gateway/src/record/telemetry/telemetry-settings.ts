import type { GatewayConfig } from '../../config/schema.js';
import type { Sampling } from './sampler.js';
import type { SpanQueueBounds } from './span-export.js';

/** The variables of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What is exported, and how; the rest stands in the variables that the exporters read themselves. */
export interface TelemetrySettings {
  readonly tracing: boolean;
  readonly metrics: boolean;
  /** Whole URLs; null for what the variables say, or `http://localhost:4318/v1/…`. */
  readonly tracesUrl: string | null;
  readonly metricsUrl: string | null;
  readonly sampling: Sampling;
  readonly bounds: SpanQueueBounds;
  /** Milliseconds between two exports of metrics. */
  readonly interval: number;
  /** What the variables ask for and cannot have: sentences for the log. */
  readonly warnings: readonly string[];
}

const SAMPLERS: Readonly<Record<string, { readonly parentBased: boolean; readonly ratio: number | null }>> = {
  always_on: { parentBased: false, ratio: 1 },
  always_off: { parentBased: false, ratio: 0 },
  traceidratio: { parentBased: false, ratio: null },
  parentbased_always_on: { parentBased: true, ratio: 1 },
  parentbased_always_off: { parentBased: true, ratio: 0 },
  parentbased_traceidratio: { parentBased: true, ratio: null },
};

/**
 * Puts the configuration and the `OTEL_…` variables together. What the configuration says counts more, but for the variables that switch off:
 * `OTEL_SDK_DISABLED`, `OTEL_TRACES_EXPORTER=none` and `OTEL_METRICS_EXPORTER=none`.
 */
export function readTelemetrySettings(config: GatewayConfig['telemetry'], environment: Environment): TelemetrySettings {
  const warnings: string[] = [];
  const variable = (name: string): string => environment[name]?.trim() ?? '';
  const positive = (name: string, fallback: number, most: number): number => {
    const text = variable(name);
    if (text === '') return fallback;
    const number = Number(text);
    if (Number.isInteger(number) && number > 0 && number <= most) return number;
    warnings.push(`${name} is not a whole number from 1 to ${most}; ${fallback} is used`);
    return fallback;
  };
  const exports = (signal: 'TRACES' | 'METRICS'): boolean => {
    if (variable('OTEL_SDK_DISABLED').toLowerCase() === 'true') return false;
    const exporter = variable(`OTEL_${signal}_EXPORTER`);
    if (exporter === 'none') return false;
    if (exporter !== '' && exporter !== 'otlp') warnings.push(`OTEL_${signal}_EXPORTER names an exporter that is not there; otlp is used`);
    const protocol = variable(`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`) || variable('OTEL_EXPORTER_OTLP_PROTOCOL');
    if (protocol !== '' && protocol !== 'http/json') warnings.push(`OTLP goes out as http/json, not as OTEL_EXPORTER_OTLP_PROTOCOL says`);
    return true;
  };
  const tracing = config.tracing && exports('TRACES');
  const metrics = config.metrics && exports('METRICS');
  const base = config.endpoint?.replace(/\/+$/, '');
  const queue = positive('OTEL_BSP_MAX_QUEUE_SIZE', 2_048, 1_000_000);
  return {
    tracing,
    metrics,
    tracesUrl: base === undefined ? null : `${base}/v1/traces`,
    metricsUrl: base === undefined ? null : `${base}/v1/metrics`,
    sampling: config.sample === undefined ? samplingOf(variable, warnings) : { parentBased: true, ratio: config.sample },
    bounds: {
      queue,
      batch: Math.min(queue, positive('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 256, 10_000)),
      delay: positive('OTEL_BSP_SCHEDULE_DELAY', 5_000, 86_400_000),
    },
    interval: config.interval ?? positive('OTEL_METRIC_EXPORT_INTERVAL', 60_000, 86_400_000),
    warnings: tracing || metrics ? warnings : [],
  };
}

function samplingOf(variable: (name: string) => string, warnings: string[]): Sampling {
  const name = variable('OTEL_TRACES_SAMPLER').toLowerCase();
  if (name === '') return { parentBased: true, ratio: 1 };
  const known = Object.hasOwn(SAMPLERS, name) ? SAMPLERS[name] : undefined;
  if (known === undefined) {
    warnings.push('OTEL_TRACES_SAMPLER names a sampler that is not known; parentbased_always_on is used');
    return { parentBased: true, ratio: 1 };
  }
  if (known.ratio !== null) return { parentBased: known.parentBased, ratio: known.ratio };
  const text = variable('OTEL_TRACES_SAMPLER_ARG');
  const ratio = text === '' ? 1 : Number(text);
  if (ratio >= 0 && ratio <= 1) return { parentBased: known.parentBased, ratio };
  warnings.push('OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1; 1 is used');
  return { parentBased: known.parentBased, ratio: 1 };
}
