import { SallyportError, type Secret } from '@sallyport/sdk';
import { freshRecord } from '../stores/token-record-json.js';
import type { TokenStore } from '../stores/token-store.js';
import { withNewToken } from './rotation.js';

const ATTEMPTS = 20;

/**
 * Puts a token from a new consent into the store, over whatever is there: the token before it is kept as a superseded one. A refresh that is under way
 * finds it and leaves it in place. Errors: `token_store_failed`.
 */
export async function storeNewToken(store: TokenStore, key: string, token: Secret, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const stored = await store.read(key, signal).catch((error: unknown) => {
      if (error instanceof SallyportError && error.code === 'token_not_found') return null;
      throw error;
    });
    const record = stored === null ? freshRecord(token) : withNewToken(stored.record, token);
    if ((await store.replace(key, stored?.version ?? null, record, signal)) !== null) return;
  }
  throw new SallyportError('token_store_failed', { detail: `The token store (${store.description}) keeps changing while it is written.` });
}
