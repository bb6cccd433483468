import { expect, test } from 'vitest';
import { Exchange } from '../exchange.js';
import { createMetrics } from './metrics.js';
import { createRecorder } from './recorder.js';
import { createTracing } from './telemetry/tracing.js';

test('An exchange is recorded once with its duration; a second end is counted as a fault of ours', async () => {
  const recorded: Exchange[] = [];
  const metrics = createMetrics({ version: '1.2.3' });
  const recorder = createRecorder({ log: { record: (exchange) => recorded.push(exchange) }, metrics, traces: null });
  const exchange = new Exchange('forward', '127.0.0.1');
  recorder.record(exchange);
  const duration = exchange.durationMs;
  recorder.record(exchange);
  expect(duration).toBeGreaterThanOrEqual(0);
  expect(exchange.durationMs).toBe(duration);
  expect(recorded).toEqual([exchange]);
  const { text } = await metrics.render();
  expect(text).toContain('\nsallyport_internal_faults_total 1\n');
  expect(text).toContain('\nsallyport_exchanges_total{door="forward",method="other",status_class="none",outcome="completed"} 1\n');
});

test('What goes into a trace is handed on, once', () => {
  const recorded: Exchange[] = [];
  const tracing = createTracing(() => true);
  const traces = { tracing, record: (exchange: Exchange): void => void recorded.push(exchange) };
  const recorder = createRecorder({ log: { record: () => {} }, metrics: createMetrics({ version: '1' }), traces });
  expect(recorder.tracing).toBe(tracing);
  const exchange = new Exchange('forward', '127.0.0.1');
  recorder.record(exchange);
  recorder.record(exchange);
  expect(recorded).toEqual([exchange]);
  expect(exchange.durationMs).toBeGreaterThanOrEqual(0);
});
