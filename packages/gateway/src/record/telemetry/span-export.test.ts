import { resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { expect, test, vi } from 'vitest';
import { Exchange, type ExchangeTrace } from '../../exchange.js';
import { createSpanExport, type SpanExport, type SpanQueueBounds } from './span-export.js';

/** An exporter that answers when it is told to. */
class Held implements SpanExporter {
  readonly batches: { readonly spans: readonly ReadableSpan[]; readonly done: (code: number) => void }[] = [];
  down = false;

  export(spans: ReadableSpan[], done: (result: { code: number; error?: Error }) => void): void {
    this.batches.push({ spans, done: (code) => done(code === 0 ? { code } : { code, error: new Error('no') }) });
  }

  async shutdown(): Promise<void> {
    this.down = true;
  }
}

function queue(bounds: Partial<SpanQueueBounds> = {}): { held: Held; spans: SpanExport; said: string[] } {
  const held = new Held();
  const said: string[] = [];
  const origin = { resource: resourceFromAttributes({}), scope: { name: 'x' }, target: 'path' as const, newSpanId: () => 'b7ad6b7169203331' };
  const warnings = { failed: (reason: string) => void said.push(reason), worked: () => void said.push('worked') };
  return { held, said, spans: createSpanExport(held, origin, { queue: 10, batch: 4, delay: 60_000, ...bounds }, warnings) };
}

function finished(changes: Partial<Exchange> = {}, sampled = true): Exchange {
  const trace: ExchangeTrace = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    parent: null,
    sampled,
    attempts: [],
    waits: [],
    called: null,
    serviceId: '',
    attempt: () => '',
    attemptAgain: (head) => head,
    waited: () => {},
  };
  return Object.assign(new Exchange('forward', '127.0.0.1'), { trace, method: 'GET', durationMs: 1 }, changes);
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('sends a full batch at once, one after the other, and the rest at the end', async () => {
  const { held, spans } = queue();
  for (let i = 0; i < 6; i++) spans.record(finished());
  expect(held.batches).toHaveLength(0);
  await vi.waitFor(() => expect(held.batches).toHaveLength(1));
  for (let i = 0; i < 3; i++) spans.record(finished());
  await settled();
  expect(held.batches.map((batch) => batch.spans.length)).toEqual([4]);
  held.batches[0]?.done(0);
  await vi.waitFor(() => expect(held.batches).toHaveLength(2));
  const closing = spans.close(true);
  held.batches[1]?.done(0);
  await vi.waitFor(() => expect(held.batches).toHaveLength(3));
  held.batches[2]?.done(0);
  await closing;
  expect(held.batches.map((batch) => batch.spans.length)).toEqual([4, 4, 1]);
  expect(held.down).toBe(true);
  expect(spans.dropped).toBe(0);
});

test('never holds more than it may, and counts what is lost', async () => {
  const { held, spans, said } = queue();
  for (let i = 0; i < 4; i++) spans.record(finished());
  await vi.waitFor(() => expect(held.batches).toHaveLength(1));
  for (let i = 0; i < 25; i++) spans.record(finished());
  expect(spans.dropped).toBe(15);
  held.batches[0]?.done(1);
  await vi.waitFor(() => expect(said).toEqual(['no']));
  expect(spans.dropped).toBe(19);
});

test('long paths count for more', () => {
  const { spans } = queue({ queue: 1_000, batch: 1_000 });
  for (let i = 0; i < 100; i++) spans.record(finished({ path: `/${'x'.repeat(1_000_000)}` }));
  expect(spans.dropped).toBeGreaterThan(50);
});

test('takes no exchange that is not kept, nor one after the end', async () => {
  const { held, spans } = queue({ batch: 1 });
  spans.record(finished({}, false));
  spans.record(finished({ trace: null }));
  await spans.close(true);
  spans.record(finished());
  await settled();
  expect(held.batches).toHaveLength(0);
  expect(spans.dropped).toBe(1);
});

test('an end in a hurry drops what waits', async () => {
  const { held, spans } = queue();
  spans.record(finished());
  await spans.close(false);
  expect(held.batches).toHaveLength(0);
  expect(spans.dropped).toBe(1);
});

test('an exporter that throws loses its batch and no more', async () => {
  const { held, spans, said } = queue({ batch: 1 });
  held.export = () => {
    throw new Error('broken');
  };
  spans.record(finished());
  await vi.waitFor(() => expect(said).toEqual(['broken']));
  expect(spans.dropped).toBe(1);
});
