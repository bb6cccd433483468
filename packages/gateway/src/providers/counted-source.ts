import type { Source } from '@sallyport/credentials';

/** The same source; `onFetch` hears how each fetch ended that nobody gave up. It must not throw. */
export function countedSource(source: Source, onFetch: (succeeded: boolean) => void): Source {
  return {
    ...source,
    async fetch(signal) {
      try {
        const material = await source.fetch(signal);
        onFetch(true);
        return material;
      } catch (error) {
        if (!signal.aborted) onFetch(false);
        throw error;
      }
    },
  };
}
