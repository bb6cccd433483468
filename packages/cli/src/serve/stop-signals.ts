/** Hears of the signals that mean stop from the very beginning: `first` resolves with the first of them, `again` is aborted by the second. */
export function stopSignals(): { first: Promise<void>; again: AbortSignal } {
  const again = new AbortController();
  const first = new Promise<void>((resolve) => {
    let asked = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (asked) again.abort();
        asked = true;
        resolve();
      });
    }
  });
  return { first, again: again.signal };
}
