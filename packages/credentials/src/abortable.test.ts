import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { abortable } from './abortable.js';

test('settles as the work does and leaves no listener', async () => {
  const { signal } = new AbortController();
  await expect(abortable(Promise.resolve(1), signal)).resolves.toBe(1);
  await expect(abortable(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('an abort wins with its own reason, and the later failure of the work is nobody’s', async () => {
  const abort = new AbortController();
  const reason = new Error('gone');
  let fail = (_error: Error): void => {};
  const work = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  const waiting = abortable(work, abort.signal);
  abort.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(abortable(work, abort.signal)).rejects.toBe(reason);
  fail(new Error('too late'));
  await new Promise(setImmediate);
});
