/** Figures that cost a query: read in the background, never while somebody waits for them. */
export interface BackgroundFigures<Figures> {
  /** What was read last, at once; undefined before the first time and when reading fails. Begins to read anew when that is too long ago. */
  readonly latest: () => Figures | undefined;
  /** Resolves when nothing is being read any more, and nothing will be. */
  readonly close: () => Promise<void>;
}

/** Reads figures at most every `everyMs`, and never twice at the same time. A failure is forgotten with the figures: stale ones would be believed. */
export function backgroundFigures<Figures>(read: () => Promise<Figures>, everyMs: number): BackgroundFigures<Figures> {
  let found: Figures | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  let closed = false;

  async function renew(): Promise<void> {
    try {
      found = await read();
    } catch {
      found = undefined;
    }
    readAt = performance.now();
    reading = undefined;
  }

  return {
    latest() {
      if (!closed && performance.now() - readAt >= everyMs) reading ??= renew();
      return found;
    },
    async close() {
      closed = true;
      await reading;
    },
  };
}
