import { InvalidArgumentError } from 'commander';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** A parser of an option that takes `500ms`, `30s`, `5m` or `2h` between two bounds, and leaves it as it is written. */
export function durationOption(least: string, most: string): (text: string) => string {
  return (text) => {
    const value = millisecondsOf(text);
    if (value >= millisecondsOf(least) && value <= millisecondsOf(most)) return text;
    throw new InvalidArgumentError(`A duration from ${least} to ${most} is expected, such as 500ms, 30s or 5m.`);
  };
}

/** Milliseconds of a text that `durationOption` has let through; NaN for any other. */
export function millisecondsOf(text: string): number {
  const match = /^([0-9]{1,9})(ms|s|m|h)$/.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}
