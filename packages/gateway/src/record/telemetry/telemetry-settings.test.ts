import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../config/load.js';
import { type Environment, readTelemetrySettings, type TelemetrySettings } from './telemetry-settings.js';

function settings(written: string, environment: Environment = {}): TelemetrySettings {
  const text = `gateway:\n  listeners: { forward: { port: 0 } }\n  telemetry: ${written}\n`;
  return readTelemetrySettings(parseConfig(text, { path: '/x.yaml', env: {} }).gateway.telemetry, environment);
}

const ON = '{ tracing: true, metrics: true }';

test('nothing is exported that is not asked for', () => {
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', OTEL_TRACES_SAMPLER: 'nonsense' };
  expect(settings('{}', environment)).toMatchObject({ tracing: false, metrics: false, warnings: [] });
  expect(settings('{ metrics: true }')).toMatchObject({ tracing: false, metrics: true });
});

test('what the configuration leaves out has its usual value', () => {
  expect(settings(ON)).toEqual({
    tracing: true,
    metrics: true,
    tracesUrl: null,
    metricsUrl: null,
    sampling: { parentBased: true, ratio: 1 },
    bounds: { queue: 2_048, batch: 256, delay: 5_000 },
    interval: 60_000,
    warnings: [],
  });
});

test('the configuration counts more than the variables', () => {
  const environment = { OTEL_TRACES_SAMPLER: 'always_off', OTEL_METRIC_EXPORT_INTERVAL: '5', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://vars' };
  expect(settings('{ tracing: true, endpoint: "https://c.test/otlp//", sample: 0.25, interval: 10s }', environment)).toMatchObject({
    tracesUrl: 'https://c.test/otlp/v1/traces',
    metricsUrl: 'https://c.test/otlp/v1/metrics',
    sampling: { parentBased: true, ratio: 0.25 },
    interval: 10_000,
  });
});

test('the variables set the bounds', () => {
  const environment = {
    OTEL_BSP_MAX_QUEUE_SIZE: '10',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '20',
    OTEL_BSP_SCHEDULE_DELAY: '7',
    OTEL_METRIC_EXPORT_INTERVAL: '9',
  };
  expect(settings(ON, environment)).toMatchObject({ bounds: { queue: 10, batch: 10, delay: 7 }, interval: 9 });
});

describe('the variables switch off', () => {
  test.each([
    [{ OTEL_SDK_DISABLED: 'true' }, false, false],
    [{ OTEL_SDK_DISABLED: 'TRUE' }, false, false],
    [{ OTEL_SDK_DISABLED: '1' }, true, true],
    [{ OTEL_TRACES_EXPORTER: 'none' }, false, true],
    [{ OTEL_METRICS_EXPORTER: 'none' }, true, false],
    [{ OTEL_TRACES_EXPORTER: 'otlp', OTEL_METRICS_EXPORTER: 'otlp' }, true, true],
  ])('%j', (environment, tracing, metrics) => {
    expect(settings(ON, environment)).toMatchObject({ tracing, metrics, warnings: [] });
  });
});

describe('the sampler of the variables', () => {
  test.each([
    ['always_on', '', false, 1],
    ['always_off', '', false, 0],
    ['traceidratio', '0.5', false, 0.5],
    ['traceidratio', '', false, 1],
    ['parentbased_always_on', '0.5', true, 1],
    ['parentbased_always_off', '', true, 0],
    ['parentbased_traceidratio', '0.1', true, 0.1],
  ])('%s %s', (OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG, parentBased, ratio) => {
    expect(settings(ON, { OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG })).toMatchObject({ sampling: { parentBased, ratio }, warnings: [] });
  });
});

test('what cannot be had is said, and done as far as it can be', () => {
  const environment = {
    OTEL_TRACES_SAMPLER: 'jaeger_remote',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_METRICS_EXPORTER: 'prometheus',
    OTEL_BSP_SCHEDULE_DELAY: 'soon',
  };
  const { warnings, sampling, tracing } = settings('{ tracing: true }', environment);
  expect({ sampling, tracing }).toEqual({ sampling: { parentBased: true, ratio: 1 }, tracing: true });
  expect(warnings).toEqual([
    expect.stringContaining('http/json'),
    expect.stringContaining('OTEL_TRACES_SAMPLER'),
    expect.stringContaining('OTEL_BSP_SCHEDULE_DELAY'),
  ]);
});

test('no variable makes it throw, or go beyond its bounds, or is repeated', () => {
  const names = [
    'OTEL_TRACES_SAMPLER',
    'OTEL_TRACES_SAMPLER_ARG',
    'OTEL_BSP_MAX_QUEUE_SIZE',
    'OTEL_BSP_SCHEDULE_DELAY',
    'OTEL_METRIC_EXPORT_INTERVAL',
  ];
  const value = fc.oneof(fc.string(), fc.constantFrom('traceidratio', '-1', '0', '1e99', 'NaN', '__proto__', 'constructor'));
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value), (environment) => {
      const { sampling, bounds, interval } = settings(ON, environment);
      expect(sampling.ratio).toBeGreaterThanOrEqual(0);
      expect(sampling.ratio).toBeLessThanOrEqual(1);
      for (const number of [...Object.values(bounds), interval]) expect(Number.isInteger(number) && number > 0).toBe(true);
    }),
  );
});
