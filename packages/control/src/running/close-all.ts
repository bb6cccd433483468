/** Ends one thing. */
export type Close = () => Promise<unknown>;

/** Ends all of these, the last first and one after the other, also when one cannot be ended; rejects then with the first failure. */
export async function closeAll(closing: readonly Close[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of [...closing].reverse()) await close().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
