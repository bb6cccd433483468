import type { ResourceDetector } from '@opentelemetry/resources';
import { SallyportError } from '@sallyport/sdk';

/** Packages of OpenTelemetry that only those install who export something. */
const PACKAGES = [
  '@opentelemetry/exporter-metrics-otlp-http',
  '@opentelemetry/exporter-trace-otlp-http',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-metrics',
  '@opentelemetry/sdk-trace-base',
];

/** Loads what exports traces, beside `loaded`. Errors: `telemetry_unavailable` when a package is missing. */
export function loadTracePackages() {
  return orUnavailable(async () => {
    const [{ OTLPTraceExporter }, { createSpanExport }] = await Promise.all([
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('./span-export.js'),
    ]);
    return { OTLPTraceExporter, createSpanExport };
  });
}

/** Loads what exports metrics. Errors: as above. */
export function loadMetricPackages() {
  return orUnavailable(async () => {
    const [{ OTLPMetricExporter }, { createMetricExport }] = await Promise.all([
      import('@opentelemetry/exporter-metrics-otlp-http'),
      import('./metric-export.js'),
    ]);
    return { OTLPMetricExporter, createMetricExport };
  });
}

/** Loads what describes this process to a collector. Errors: as above. */
export function loadResources() {
  return orUnavailable(async () => {
    const { detectResources, envDetector, resourceFromAttributes } = await import('@opentelemetry/resources');
    const detector: ResourceDetector = envDetector;
    return { detectResources, detector, resourceFromAttributes };
  });
}

/** What `load` answers. A package that is missing is `telemetry_unavailable`; any other failure stays what it is. */
export async function orUnavailable<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && (cause.code === 'ERR_MODULE_NOT_FOUND' || cause.code === 'MODULE_NOT_FOUND'))) throw cause;
    throw new SallyportError('telemetry_unavailable', {
      detail: 'gateway.telemetry asks for an export, and the packages of OpenTelemetry for it are not installed',
      hint: `Install them beside the gateway: npm install ${PACKAGES.join(' ')}`,
      cause,
    });
  }
}
