import { DataPointType } from '@opentelemetry/sdk-metrics';
import fc from 'fast-check';
import { Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { collectMetrics } from '../metric-registry.js';
import { metricData } from './metric-data.js';

const period = { startTime: [1, 0], endTime: [2, 0] } satisfies Parameters<typeof metricData>[1];

test('a histogram has in each bucket what fell into it, and nothing else', async () => {
  const bounds = [1, 2.5, 10];
  const observation = fc.record({ label: fc.constantFrom('a', 'b'), value: fc.double({ min: 0, max: 20, noNaN: true }) });
  await fc.assert(
    fc.asyncProperty(fc.array(observation, { minLength: 1, maxLength: 30 }), async (observations) => {
      const registry = new Registry();
      const histogram = new Histogram({ name: 'h_seconds', help: 'x', labelNames: ['l'], buckets: bounds, registers: [registry] });
      for (const { label, value } of observations) histogram.observe({ l: label }, value);
      const [collected] = await collectMetrics(registry);
      const data = metricData(collected, period);
      if (data?.dataPointType !== DataPointType.HISTOGRAM) throw new Error('not a histogram');
      expect(data.descriptor).toMatchObject({ name: 'h_seconds', unit: 's' });
      for (const { attributes, value } of data.dataPoints) {
        const own = observations.filter(({ label }) => label === attributes.l).map((one) => one.value);
        const counts = [...bounds, Number.POSITIVE_INFINITY].map(
          (bound, index, all) => own.filter((one) => one <= bound && (index === 0 || one > all[index - 1])).length,
        );
        expect(value).toEqual({
          buckets: { boundaries: bounds, counts },
          sum: expect.closeTo(own.reduce((sum, one) => sum + one, 0)),
          count: own.length,
        });
      }
      expect(data.dataPoints).toHaveLength(new Set(observations.map(({ label }) => label)).size);
    }),
    { numRuns: 30 },
  );
});

test('counters grow, gauges do not have to; units come from the names', () => {
  const values = [{ labels: { a: 'x', n: 2 }, value: 3 }];
  expect(metricData({ name: 'sent_bytes_total', help: 'h', type: 'counter', values }, period)).toMatchObject({
    descriptor: { name: 'sent_bytes_total', description: 'h', unit: 'By' },
    dataPointType: DataPointType.SUM,
    isMonotonic: true,
    dataPoints: [{ attributes: { a: 'x', n: '2' }, value: 3 }],
  });
  expect(metricData({ name: 'open', help: 'h', type: 'gauge', values }, period)).toMatchObject({
    dataPointType: DataPointType.GAUGE,
    descriptor: { unit: '' },
  });
});

test('without a value there is nothing to tell', () => {
  for (const type of ['counter', 'gauge', 'histogram'] as const) expect(metricData({ name: 'm', help: '', type, values: [] }, period)).toBeNull();
  expect(metricData({ name: 'm', help: '', type: 'gauge', values: [{ labels: {}, value: Number.NaN }] }, period)).toBeNull();
});
