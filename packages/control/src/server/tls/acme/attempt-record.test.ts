import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { endScene, temporaryFolder } from '../tls-scene.test.support.js';
import { type AttemptRecord, beginAttempt, endAttempt, failAttempt, readAttempt } from './attempt-record.js';

const MINUTE = 60_000;
const now = Date.parse('2026-01-01T00:00:00Z');
let path: string;
beforeEach(async () => {
  path = join(await temporaryFolder(), 'a.example.com.attempt.json');
  vi.useFakeTimers({ toFake: ['Date'], now });
});
afterEach(async () => {
  vi.useRealTimers();
  await endScene();
});

/** Requires that these minutes are waited, or up to a fifth more. */
function expectWaits(records: readonly AttemptRecord[], minutes: readonly number[]): void {
  const waits = records.map(({ next_at }) => (next_at - now) / MINUTE);
  expect(waits.length).toBe(minutes.length);
  for (const [index, least] of minutes.entries()) {
    expect(waits[index]).toBeGreaterThanOrEqual(least);
    expect(waits[index]).toBeLessThanOrEqual(least * 1.2);
  }
}

async function failTimes(count: number, error: SallyportError): Promise<AttemptRecord[]> {
  const records: AttemptRecord[] = [];
  for (let index = 0; index < count; index += 1) {
    records.push(await failAttempt(path, await beginAttempt(path, await readAttempt(path)), error));
  }
  return records;
}

test('what begins is written down before, as something to wait after', async () => {
  expect(await readAttempt(path)).toBeNull();
  const record = await beginAttempt(path, null);
  expect(await readAttempt(path)).toEqual(record);
  expect([record.failures, record.detail]).toEqual([1, null]);
  expectWaits([record], [1]);
  await endAttempt(path);
  expect(await readAttempt(path)).toBeNull();
  await endAttempt(path);
});

test('each failure has the next attempt wait longer, up to a day', async () => {
  const refused = await failTimes(9, new SallyportError('acme_challenge_failed'));
  expectWaits(refused, [5, 15, 45, 135, 405, 1215, 1440, 1440, 1440]);
  expect(await readAttempt(path)).toEqual(refused.at(-1));
  await endAttempt(path);
  expectWaits(await failTimes(3, new SallyportError('acme_unreachable')), [1, 3, 9]);
});

test('a server that says how long is heard', async () => {
  const error = new SallyportError('acme_rate_limited', { members: { retry_after: 2 * 24 * 3600 } });
  const [record] = await failTimes(1, error);
  expect(record?.next_at).toBe(now + 2 * 24 * 60 * MINUTE);
});

test('a wrong clock or a damaged file ends neither in never nor in at once', async () => {
  await writeFile(path, JSON.stringify({ failures: 1, next_at: now * 2, detail: null }));
  expect((await readAttempt(path))?.next_at).toBe(now + 8 * 24 * 60 * MINUTE);
  for (const text of ['', '{', '[]', '{"failures":0,"next_at":1,"detail":null}', '{"failures":1,"next_at":null,"detail":null}']) {
    await writeFile(path, text);
    const { mtimeMs } = await stat(path);
    expect(await readAttempt(path)).toMatchObject({ failures: 1, next_at: mtimeMs + 5 * MINUTE });
  }
});
