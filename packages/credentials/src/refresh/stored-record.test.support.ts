import type { TokenRecord, TokenStore } from '../stores/token-store.js';
import { NEVER } from './bounded.js';
import { KEY } from './torture-grant.test.support.js';

export { NEVER };

/** What is stored. */
export async function recordOf(store: TokenStore, key: string = KEY): Promise<TokenRecord> {
  return (await store.read(key, NEVER)).record;
}

/** The tokens of a record in the clear, for comparisons. */
export function tokensOf({ refreshToken, superseded }: TokenRecord): string[] {
  return [refreshToken, ...superseded].map((token) => token.reveal());
}
