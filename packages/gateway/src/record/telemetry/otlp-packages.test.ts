import { expect, test } from 'vitest';
import { orUnavailable } from './otlp-packages.js';

test('a package that is not installed is named, with what to do', async () => {
  const missing = '@opentelemetry/not-installed';
  await expect(orUnavailable(() => import(/* @vite-ignore */ missing))).rejects.toMatchObject({
    code: 'telemetry_unavailable',
    hint: expect.stringContaining('npm install @opentelemetry/exporter-metrics-otlp-http'),
  });
});

test('any other failure stays what it is', async () => {
  const failure = new Error('broken');
  await expect(orUnavailable(() => Promise.reject(failure))).rejects.toBe(failure);
  await expect(orUnavailable(async () => 1)).resolves.toBe(1);
});
