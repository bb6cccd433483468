import fc from 'fast-check';
import { parseCronItem } from 'graphile-worker';
import { expect, test } from 'vitest';
import { parseSchedule } from './schedule.js';

const MINUTE_MS = 60_000;
const time = (text: string): number => Date.parse(text);

function fieldOf(min: number, max: number): fc.Arbitrary<string> {
  const number = fc.integer({ min, max });
  const range = fc.tuple(number, number).map(([a, b]) => (a === b ? `${a}` : `${Math.min(a, b)}-${Math.max(a, b)}`));
  const part = fc.oneof(
    number.map(String),
    range,
    fc.integer({ min: 1, max: Math.floor(max / 2) }).map((step) => `*/${step}`),
  );
  return fc.oneof(
    fc.constant('*'),
    fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(',')),
  );
}

const patternOf = fc.tuple(fieldOf(0, 59), fieldOf(0, 23), fieldOf(1, 28), fieldOf(1, 12), fieldOf(0, 7)).map((fields) => fields.join(' '));

/** What graphile-worker, which keeps the time on Postgres, would do. */
function matchesInEngine(pattern: string, at: number): boolean {
  const date = new Date(at);
  const digest = {
    min: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    date: date.getUTCDate(),
    month: date.getUTCMonth() + 1,
    dow: date.getUTCDay(),
  };
  return parseCronItem({ task: 'x', match: pattern }).match(digest);
}

test('a schedule knows its ticks', () => {
  const schedule = parseSchedule('5 */2 * * *');
  expect(schedule.nextTick(time('2026-03-01T02:05:00Z'))).toBe(time('2026-03-01T04:05:00Z'));
  expect(schedule.lastTick(time('2026-03-01T02:05:00Z'))).toBe(time('2026-03-01T02:05:00Z'));
  expect(schedule.lastTick(time('2026-03-01T02:04:59.999Z'))).toBe(time('2026-03-01T00:05:00Z'));
});

test.each([
  '',
  '* * * *',
  '* * * * * *',
  '60 * * * *',
  '* * 0 * *',
  '5-5 * * * *',
  '9-3 * * * *',
  '@daily',
  '0 0 L * *',
  '0 0 * * MON',
  '0 0 31 2 *',
  '*/0 * * * *',
])('is refused: %j', (pattern) => {
  expect(() => parseSchedule(pattern)).toThrow(expect.objectContaining({ code: 'task_schedule_invalid' }));
});

test('both engines mean the same by a schedule', () => {
  const begin = time('2026-01-01T00:00:00Z');
  fc.assert(
    fc.property(patternOf, fc.integer({ min: 0, max: 3 * 365 * 1440 }), (pattern, minutes) => {
      const at = begin + minutes * MINUTE_MS;
      const schedule = parseSchedule(pattern);
      expect(schedule.lastTick(at) === at).toBe(matchesInEngine(pattern, at));
      const next = schedule.nextTick(at) ?? Number.NaN;
      expect(matchesInEngine(pattern, next)).toBe(true);
      expect(schedule.lastTick(next)).toBe(next);
      expect(schedule.lastTick(next - 1)).toBe(schedule.lastTick(at));
    }),
    { numRuns: 500 },
  );
});
