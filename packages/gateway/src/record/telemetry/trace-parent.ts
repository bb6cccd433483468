/** Where a request stands in a distributed trace, as its caller says (W3C Trace Context §3.2). */
export interface TraceParent {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hexadecimal digits, not all zero. */
  readonly spanId: string;
  readonly sampled: boolean;
  /** The trace id has 56 random bits at its end (Level 2 §3.2.3.3), which those who sample may rely on. */
  readonly random: boolean;
}

const PATTERN = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;
const RANDOM = 2;

/**
 * Reads a `traceparent` field. Null for whatever is not one to the letter: then the trace begins anew. Of versions that are not known yet the part is
 * read that they have in common with version 00 (§4.3).
 */
export function parseTraceparent(text: string): TraceParent | null {
  const match = PATTERN.exec(text);
  if (match === null) return null;
  const [, version, traceId, spanId, flags, more] = match as unknown as [string, string, string, string, string, string | undefined];
  if (version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (isZero(traceId) || isZero(spanId)) return null;
  const bits = Number.parseInt(flags, 16);
  return { traceId, spanId, sampled: (bits & SAMPLED) !== 0, random: (bits & RANDOM) !== 0 };
}

/** The same as the text of a `traceparent` field, in version 00. */
export function formatTraceparent({ traceId, spanId, sampled, random }: TraceParent): string {
  return `00-${traceId}-${spanId}-0${(sampled ? SAMPLED : 0) | (random ? RANDOM : 0)}`;
}

/** Whether an id is made of zeros alone, which is no id. */
export function isZero(id: string): boolean {
  return /^0+$/.test(id);
}
