import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const LONGEST = 366 * 86_400;

/** Seconds of a text such as `90s`, `15m`, `24h` or `90d`, for an option; at most 366 days. */
export function lifetimeOption(text: string): number {
  const [, count = '', unit = ''] = /^([1-9][0-9]{0,8})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNITS[unit] ?? 0);
  if (seconds > 0 && seconds <= LONGEST) return seconds;
  throw new InvalidArgumentError('A time up to 366 days is expected, such as 90s, 15m, 24h or 90d.');
}
