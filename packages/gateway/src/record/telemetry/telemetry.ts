import type { GatewayConfig } from '../../config/schema.js';
import type { Exchange } from '../../exchange.js';
import type { Logger } from '../logger.js';
import type { Metrics } from '../metrics.js';
import type { RecordedTarget } from '../request-event.js';
import { loadMetricPackages, loadResources, loadTracePackages } from './otlp-packages.js';
import { spanIds } from './random-ids.js';
import { rareWarnings } from './rare-warnings.js';
import { createSampler } from './sampler.js';
import { type Environment, readTelemetrySettings } from './telemetry-settings.js';
import { createTracing, type Tracing } from './tracing.js';

/** The export of traces and metrics of one gateway. */
export interface Telemetry {
  /** Null when no traces are exported. */
  readonly traces: { readonly tracing: Tracing; record(exchange: Exchange): void } | null;
  /** Exports what is left, as far as that is done before the signal aborts; what is not is lost. Never rejects. */
  stop(signal: AbortSignal): Promise<void>;
}

export interface TelemetryOptions {
  readonly config: GatewayConfig['telemetry'];
  /** What is told of targets. */
  readonly target: RecordedTarget;
  readonly environment: Environment;
  readonly version: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

const SCOPE = 'sallyport';

/**
 * Starts what the configuration asks for. The packages of OpenTelemetry are loaded only then. A collector that cannot be reached is no error: the log
 * says so now and then, and no request ever waits for it. Errors: `telemetry_unavailable`.
 */
export async function startTelemetry({ config, target, environment, version, metrics, logger }: TelemetryOptions): Promise<Telemetry> {
  const settings = readTelemetrySettings(config, environment);
  for (const warning of settings.warnings) logger.warn(warning);
  if (!settings.tracing && !settings.metrics) return { traces: null, stop: async () => {} };
  const resource = await describeProcess(config, version);
  const scope = { name: SCOPE, version };
  const headers = Object.fromEntries(Object.entries(config.headers).map(([name, value]) => [name, value.reveal()]));
  const to = (url: string | null): { url?: string; headers: Record<string, string> } => ({ headers, ...(url === null ? {} : { url }) });
  const exports: { close(flush: boolean): Promise<void> }[] = [];
  let traces: Telemetry['traces'] = null;
  if (settings.tracing) {
    const { OTLPTraceExporter, createSpanExport } = await loadTracePackages();
    const origin = { resource, scope, target, newSpanId: spanIds() };
    const warnings = rareWarnings(logger, 'The export of traces');
    const spans = createSpanExport(new OTLPTraceExporter(to(settings.tracesUrl)), origin, settings.bounds, warnings);
    metrics.watch('sallyport_spans_dropped_total', {}, () => spans.dropped);
    traces = { tracing: createTracing(createSampler(settings.sampling)), record: (exchange) => spans.record(exchange) };
    exports.push(spans);
  }
  if (settings.metrics) {
    const { OTLPMetricExporter, createMetricExport } = await loadMetricPackages();
    const options = { collect: () => metrics.collect(), resource, scope, interval: settings.interval };
    exports.push(createMetricExport(new OTLPMetricExporter(to(settings.metricsUrl)), options, rareWarnings(logger, 'The export of metrics')));
  }
  return {
    traces,
    async stop(signal) {
      const closing = exports.map((one) => one.close(!signal.aborted));
      const given = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      // Settled, since a collector that refuses the last export is no reason not to stop.
      await Promise.race([given, Promise.allSettled(closing)]);
    },
  };
}

/** What the collector is told of this process: the configuration counts more than the variables, and those more than our name and version. */
async function describeProcess({ service_name, resource }: GatewayConfig['telemetry'], version: string) {
  const { detectResources, detector, resourceFromAttributes } = await loadResources();
  const ours = resourceFromAttributes({ 'service.name': 'sallyport', 'service.version': version, 'process.pid': process.pid });
  const written = resourceFromAttributes({ ...resource, ...(service_name === undefined ? {} : { 'service.name': service_name }) });
  return ours.merge(detectResources({ detectors: [detector] })).merge(written);
}
