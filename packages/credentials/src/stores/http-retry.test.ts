import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HttpAnswer } from './http-client.js';
import { storeFailed } from './http-failure.js';
import { retryAfter, withRetries } from './http-retry.js';

const { signal } = new AbortController();
const NOW = Date.UTC(2026, 0, 1);

function answer(value: string | null): HttpAnswer {
  return { status: 429, header: () => value, text: '' };
}

describe('retryAfter', () => {
  test.each([
    [null, null],
    ['', null],
    ['0', 0],
    [' 7 ', 7],
    ['999999999', 86_400],
    ['9999999999', null],
    ['-1', null],
    ['1.5', null],
    ['soon', null],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30],
    ['Wed, 31 Dec 2025 00:00:30 GMT', 0],
    ['Thu, 99 Jan 2026 00:00:30 GMT', null],
    ['2026-01-01', null],
  ])('%j is %j', (value, seconds) => expect(retryAfter(answer(value), NOW)).toBe(seconds));

  test('is whole seconds within a day or nothing, whatever the server sends', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
        ),
        (value) => {
          const seconds = retryAfter(answer(value), NOW);
          expect(seconds === null || (Number.isInteger(seconds) && seconds >= 0 && seconds <= 86_400)).toBe(true);
        },
      ),
    );
  });
});

describe('withRetries', () => {
  test('what will not get better is not tried again', async () => {
    let attempts = 0;
    const failing = withRetries(signal, async () => {
      attempts += 1;
      throw storeFailed('no', { retryable: false, hint: '' });
    });
    await expect(failing).rejects.toMatchObject({ message: 'no' });
    expect(attempts).toBe(1);
  });

  test('what may get better is tried three times', async () => {
    let attempts = 0;
    const attempt = async (): Promise<number> => {
      attempts += 1;
      if (attempts < 3) throw storeFailed('later', { retryable: true, hint: '' });
      return attempts;
    };
    expect(await withRetries(signal, attempt)).toBe(3);
  });

  test('an abort ends the wait with its reason', async () => {
    const abort = new AbortController();
    const reason = new Error('gone');
    const failing = withRetries(abort.signal, async () => {
      queueMicrotask(() => queueMicrotask(() => abort.abort(reason)));
      throw storeFailed('later', { retryable: true, hint: '', retryAfter: 2 });
    });
    await expect(failing).rejects.toBe(reason);
  });
});
