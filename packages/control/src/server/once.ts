/** Runs an operation in such a way that the same idempotency key does it once. */
export type Once = (
  request: { readonly key: string; readonly actorId: string; readonly method: string; readonly path: string; readonly body: unknown },
  work: () => Promise<StoredAnswer>,
) => Promise<StoredAnswer>;

/** An answer as it is kept for repetitions. */
export interface StoredAnswer {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: string;
}
