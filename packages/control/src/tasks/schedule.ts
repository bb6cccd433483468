import { SallyportError } from '@sallyport/sdk';
import { Cron } from 'croner';

/** When something is due: five fields of cron, in UTC. */
export interface Schedule {
  /** As it was written. */
  readonly pattern: string;
  /** The first tick after this time, in milliseconds since 1970; undefined when there is none any more. */
  readonly nextTick: (after: number) => number | undefined;
  /** The last tick before this time or at it; undefined when there was none. */
  readonly lastTick: (at: number) => number | undefined;
}

/** `*`, every n-th, a number, or a range; what both croner and graphile-worker read, and read in the same way. */
const PART = /^(?:\*(?:\/[1-9]\d?)?|\d{1,2}(?:-\d{1,2})?)$/;
const MINUTE_MS = 60_000;

/**
 * Reads `MINUTE HOUR DAY MONTH WEEKDAY`, each `*`, `*\/5`, `1`, `1-5` or a list of those. When both days are restricted, either will do. Refuses
 * anything else, and what is never due, with `task_schedule_invalid`.
 */
export function parseSchedule(pattern: string): Schedule {
  const fields = pattern.split(' ');
  if (fields.length !== 5 || !fields.every(isField)) throw invalid(pattern);
  const cron = cronOf(pattern);
  const nextTick = (after: number): number | undefined => cron.nextRun(new Date(after))?.getTime();
  // The moment itself counts, and what comes before it is asked for without it.
  const lastTick = (at: number): number | undefined => cron.previousRuns(1, new Date(Math.floor(at / MINUTE_MS) * MINUTE_MS + 1_000))[0]?.getTime();
  if (nextTick(Date.now()) === undefined) throw invalid(pattern);
  return { pattern, nextTick, lastTick };
}

function cronOf(pattern: string): Cron {
  try {
    const [minute, hour, day, month, weekday] = pattern.split(' ') as [string, string, string, string, string];
    // When both days are restricted either will do, and the two readers differ in whether `*\/1` is a restriction. It is none.
    const days = isEvery(day, 1, 31) ? '*' : day;
    const weekdays = isEvery(weekday, 0, 6) ? '*' : weekday;
    return new Cron([minute, hour, days, month, weekdays].join(' '), { mode: '5-part', timezone: 'UTC', paused: true });
  } catch (error) {
    throw invalid(pattern, error);
  }
}

/** A range that goes nowhere is refused by one of the two that read it. */
function isField(field: string): boolean {
  return field.split(',').every((part) => {
    const [from, to] = part.split('-').map(Number);
    return PART.test(part) && (to === undefined || from === undefined || from < to);
  });
}

/** True when a field names each number there is. */
function isEvery(field: string, min: number, max: number): boolean {
  const named = new Set(field.split(',').flatMap((part) => numbersOf(part, min, max)));
  return named.size === max - min + 1;
}

function numbersOf(part: string, min: number, max: number): readonly number[] {
  const [range = '', step = '1'] = part.split('/');
  const [from = min, to = range === '*' ? max : from] = range === '*' ? [] : range.split('-').map(Number);
  // The seventh weekday is the zeroth.
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)
    .filter((_, index) => index % Number(step) === 0)
    .map((number) => (number > max ? min : number));
}

function invalid(pattern: string, cause?: unknown): SallyportError {
  return new SallyportError('task_schedule_invalid', { detail: `'${pattern}' is not a schedule.`, ...(cause === undefined ? {} : { cause }) });
}
