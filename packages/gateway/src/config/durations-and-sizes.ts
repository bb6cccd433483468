const DURATION_UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_UNITS = { b: 1, kb: 1_024, mb: 1_048_576, gb: 1_073_741_824 } as const;

/** What a duration looks like in the configuration: a whole number and its unit, no space between them. */
export const durationPattern = /^(0|[1-9][0-9]{0,15})(ms|s|m|h|d)$/;

/** What a size looks like in the configuration: a whole number and its unit in lower case, no space between them. */
export const sizePattern = /^(0|[1-9][0-9]{0,15})(b|kb|mb|gb)$/;

/** Milliseconds of `500ms`, `30s`, `5m`, `2h` or `7d`; null for any other text and for what is not a safe integer. */
export function parseDuration(text: string): number | null {
  return parseQuantity(text, durationPattern, DURATION_UNITS);
}

/** Bytes of `512b`, `8kb`, `10mb` or `1gb`, where a kb is 1024 bytes; null for any other text and for what is not a safe integer. */
export function parseSize(text: string): number | null {
  return parseQuantity(text, sizePattern, SIZE_UNITS);
}

/** The shortest text that `parseDuration` reads back as the same number of milliseconds. */
export function formatDuration(milliseconds: number): string {
  return formatQuantity(milliseconds, DURATION_UNITS, 'ms');
}

/** The shortest text that `parseSize` reads back as the same number of bytes. */
export function formatSize(bytes: number): string {
  return formatQuantity(bytes, SIZE_UNITS, 'b');
}

function parseQuantity(text: string, pattern: RegExp, units: Readonly<Record<string, number>>): number | null {
  const match = pattern.exec(text);
  if (match === null) return null;
  const value = Number(match[1]) * units[match[2]];
  return Number.isSafeInteger(value) ? value : null;
}

function formatQuantity(value: number, units: Readonly<Record<string, number>>, smallest: string): string {
  let best = `${value}${smallest}`;
  for (const [unit, factor] of Object.entries(units)) {
    if (value !== 0 && value % factor === 0) best = `${value / factor}${unit}`;
  }
  return best;
}
