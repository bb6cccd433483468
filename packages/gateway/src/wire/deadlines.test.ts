import { performance } from 'node:perf_hooks';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Deadlined, deadlineIn, deadlines } from './deadlines.js';

class Entry implements Deadlined {
  deadline: number;
  fired = 0;
  readonly #then: () => void;

  constructor(deadline: number, then: () => void = () => {}) {
    this.deadline = deadline;
    this.#then = then;
  }

  onDeadline(): void {
    this.fired++;
    this.#then();
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
  vi.spyOn(performance, 'now').mockImplementation(() => Date.now());
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test('a deadline fires once, when it has passed and never before', () => {
  const entry = new Entry(deadlineIn(1000));
  deadlines.watch(entry);
  vi.advanceTimersByTime(999);
  expect(entry.fired).toBe(0);
  vi.advanceTimersByTime(101);
  expect([entry.fired, entry.deadline]).toEqual([1, Number.POSITIVE_INFINITY]);
  vi.advanceTimersByTime(10_000);
  expect(entry.fired).toBe(1);
  entry.deadline = deadlineIn(1000);
  vi.advanceTimersByTime(1100);
  expect(entry.fired).toBe(2);
  deadlines.forget(entry);
});

test('one that is moved fires at the later time, one that is forgotten never', () => {
  const moved = new Entry(deadlineIn(1000));
  const forgotten = new Entry(deadlineIn(1000));
  deadlines.watch(moved);
  deadlines.watch(forgotten);
  vi.advanceTimersByTime(900);
  moved.deadline = deadlineIn(1000);
  deadlines.forget(forgotten);
  vi.advanceTimersByTime(900);
  expect([moved.fired, forgotten.fired]).toEqual([0, 0]);
  vi.advanceTimersByTime(200);
  expect([moved.fired, forgotten.fired]).toEqual([1, 0]);
  deadlines.forget(moved);
});

test('a timeout of 0 is none', () => {
  expect(deadlineIn(0)).toBe(Number.POSITIVE_INFINITY);
});

test('entries come and go while the sweep is under way, and with the last one the timer ends', () => {
  const entries: Entry[] = [];
  const late = new Entry(deadlineIn(5000));
  for (let i = 0; i < 10; i++) {
    const entry: Entry = new Entry(deadlineIn(100), () => {
      for (const each of entries) deadlines.forget(each);
      deadlines.watch(late);
    });
    entries.push(entry);
    deadlines.watch(entry);
  }
  vi.advanceTimersByTime(200);
  expect(entries.map(({ fired }) => fired)).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  vi.advanceTimersByTime(6000);
  expect(late.fired).toBe(1);
  deadlines.forget(late);
  expect(vi.getTimerCount()).toBe(0);
});
