import type { TokenRecord, TokenStore } from '../stores/token-store.js';
import { KEY } from './torture-grant.test.support.js';

/** A signal that never aborts. */
export const NEVER: AbortSignal = new AbortController().signal;

/** What is stored. */
export async function recordOf(store: TokenStore, key: string = KEY): Promise<TokenRecord> {
  return (await store.read(key, NEVER)).record;
}

/** The tokens of a record in the clear, for comparisons. */
export function tokensOf({ refreshToken, superseded }: TokenRecord): string[] {
  return [refreshToken, ...superseded].map((token) => token.reveal());
}
