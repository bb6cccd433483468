import type { TokenStore } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';

const TIME_LIMIT = 30_000;

/**
 * Looks into the store before anybody is asked for consent, so that a store that does not work, or a token that is there already, is known early.
 * Errors: `onboarding_token_exists` unless `mayReplace` says yes; `token_store_failed`.
 */
export async function checkStore(store: TokenStore, key: string, mayReplace: () => Promise<boolean>): Promise<void> {
  try {
    await store.read(key, AbortSignal.timeout(TIME_LIMIT));
  } catch (error) {
    if (error instanceof SallyportError && error.code === 'token_not_found') return;
    throw error;
  }
  if (await mayReplace()) return;
  throw new SallyportError('onboarding_token_exists', { detail: `A refresh token is already in ${store.description} under ${JSON.stringify(key)}.` });
}
