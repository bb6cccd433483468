import { SallyportError, TransactionContext } from '@sallyport/sdk';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CallMeans, PluginCall } from './plugin-call.js';
import type { ToThread } from './thread-messages.js';
import { WorkerCalls } from './worker-calls.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const call: PluginCall = { method: 'routeRequest', context: new TransactionContext({ targetUrl: 'https://api.test/' }) };
const means: CallMeans = { readBody: () => Promise.resolve(new Uint8Array(0)), bodyLimit: 0, signal: new AbortController().signal };

test('a call that never ends is forgotten once its time is over and its thread has shown that it turns', async () => {
  const posted: ToThread[] = [];
  const calls = new WorkerCalls({
    post(message) {
      posted.push(message);
      if (message.kind === 'call') calls.receive({ kind: 'began', id: message.id });
      if (message.kind === 'ping') calls.receive({ kind: 'pong', id: message.id });
    },
    blocked: () => expect.unreachable(),
  });
  const performed = calls.perform(call, { ...means, timeoutMs: 100 }, true);
  vi.advanceTimersByTime(100);
  await expect(performed).rejects.toMatchObject({ code: 'plugin_timeout' });
  expect(vi.getTimerCount()).toBe(0);
  posted.length = 0;
  calls.resume();
  expect(posted).toEqual([]);
});

test('a call that cannot cross fails alone, and leaves nothing', async () => {
  const deep = 'cannot cross';
  const posted: ToThread[] = [];
  const calls = new WorkerCalls({
    post(message) {
      if (message.kind === 'call' && message.call === call) throw new RangeError(deep);
      posted.push(message);
    },
    blocked: () => {},
  });
  const other = calls.perform({ ...call }, { ...means, timeoutMs: 100 }, true);
  const error: unknown = await calls.perform(call, { ...means, timeoutMs: 100 }, true).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SallyportError);
  expect(error).toMatchObject({ code: 'plugin_failed', cause: { message: deep } });
  calls.resume();
  expect(posted.map(({ kind }) => kind)).toEqual(['call', 'call']);
  calls.failAll(new SallyportError('plugin_failed'));
  await expect(other).rejects.toMatchObject({ code: 'plugin_failed' });
  expect(vi.getTimerCount()).toBe(0);
});
