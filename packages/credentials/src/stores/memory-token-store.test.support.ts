import { SallyportError } from '@sallyport/sdk';
import type { StoredToken, TokenStore } from './token-store.js';

/** A store that keeps its promises and nothing beyond the life of the test. Every call takes at least a turn of the event loop. */
export function memoryTokenStore(): TokenStore {
  const kept = new Map<string, StoredToken>();
  let writes = 0;
  return {
    description: 'memory',
    async read(key, signal) {
      await new Promise(setImmediate);
      signal.throwIfAborted();
      const stored = kept.get(key);
      if (stored === undefined) throw new SallyportError('token_not_found');
      return stored;
    },
    async replace(key, expected, record, signal) {
      await new Promise(setImmediate);
      signal.throwIfAborted();
      if ((kept.get(key)?.version ?? null) !== expected) return null;
      writes += 1;
      const stored = { record, version: String(writes) };
      kept.set(key, stored);
      return stored;
    },
  };
}
