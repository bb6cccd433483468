import type { HrTime } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { PushMetricExporter, ScopeMetrics } from '@opentelemetry/sdk-metrics';
import type { CollectedMetric } from '../metric-registry.js';
import { metricData } from './metric-data.js';
import type { RareWarnings } from './rare-warnings.js';

/** What is exported, whence and how often. */
export interface MetricExportOptions {
  readonly collect: () => Promise<readonly CollectedMetric[]>;
  readonly resource: Resource;
  readonly scope: ScopeMetrics['scope'];
  /** Milliseconds between two exports. */
  readonly interval: number;
}

/** Sends what `/metrics` shows to a collector. */
export interface MetricExport {
  /** Ends. With `flush` the numbers are sent once more before. */
  close(flush: boolean): Promise<void>;
}

/** Begins to send; the first time after one interval. At most one export is under way. */
export function createMetricExport(exporter: PushMetricExporter, options: MetricExportOptions, warnings: RareWarnings): MetricExport {
  const startTime = now();
  let sending: Promise<void> | null = null;

  function send(): Promise<void> {
    sending ??= exported().finally(() => {
      sending = null;
    });
    return sending;
  }

  async function exported(): Promise<void> {
    try {
      const { collect, resource, scope } = options;
      const collected = await collect();
      const period = { startTime, endTime: now() };
      const metrics = collected.map((metric) => metricData(metric, period)).filter((metric) => metric !== null);
      await new Promise<void>((resolve, reject) => {
        exporter.export({ resource, scopeMetrics: [{ scope, metrics }] }, ({ code, error }) => {
          if (code === SUCCESS) resolve();
          else reject(error ?? new Error('the collector did not take them'));
        });
      });
      warnings.worked();
    } catch (error) {
      warnings.failed(error instanceof Error ? error.message : String(error));
    }
  }

  const timer = setInterval(() => void send(), options.interval).unref();
  return {
    async close(flush) {
      clearInterval(timer);
      await sending;
      if (flush) await send();
      await exporter.shutdown();
    },
  };
}

/** `ExportResultCode.SUCCESS` of @opentelemetry/core, which nothing else is needed of. */
const SUCCESS = 0;

function now(): HrTime {
  const time = Date.now();
  return [Math.floor(time / 1_000), (time % 1_000) * 1_000_000];
}
