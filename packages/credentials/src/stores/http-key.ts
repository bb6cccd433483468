import { storeFailed } from './http-failure.js';

/**
 * The key itself when every store can hold it: 1 to 255 letters, digits, dots, underscores, hyphens, at signs and colons, the first one a letter or
 * a digit, so that none is a path or a dot segment. Throws `token_store_failed` otherwise: a key that is bent into shape could meet another one.
 */
export function checkedKey(key: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._@:-]{0,254}$/.test(key)) return key;
  const shown = JSON.stringify(key.slice(0, 64));
  throw storeFailed(`The key ${shown} cannot be stored under.`, {
    retryable: false,
    hint: 'Use 1 to 255 letters, digits and . _ - @ : and begin with a letter or a digit.',
  });
}
