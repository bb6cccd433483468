/** What a scan found. Everything above `incomplete` is a refusal, with the sentence in `fault`. */
export const Scan = { complete: 0, incomplete: 1, malformed: 2, ambiguous: 3, tooLarge: 4, versionUnsupported: 5 } as const;
export type ScanResult = (typeof Scan)[keyof typeof Scan];

/** Notes in `scanned` what is wrong, a sentence without the bytes themselves, and answers the result. */
export function refuse<R extends ScanResult>(scanned: { fault: string }, result: R, fault: string): R {
  scanned.fault = fault;
  return result;
}
