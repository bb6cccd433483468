import type { Secret } from '@sallyport/sdk';
import { redactSecrets, SHORTEST_SECRET } from './redaction.js';

/** The secrets of an exchange as values to look for. */
export interface Sought {
  readonly values: readonly string[];
  /** Length of the shortest value that is looked for: a shorter text cannot hold one. */
  readonly shortest: number;
}

/** The secrets of the exchanges of one binding are one array, for as long as its material lasts. */
const soughtSecrets = new WeakMap<readonly Secret[], Sought>();

/** What to look for in the texts of an exchange with these secrets. */
export function soughtIn(secrets: readonly Secret[]): Sought {
  const known = soughtSecrets.get(secrets);
  if (known !== undefined) return known;
  const values = secrets.map((secret) => secret.reveal()).filter((value) => value.length >= SHORTEST_SECRET);
  const sought = { values, shortest: Math.min(...values.map((value) => value.length)) };
  soughtSecrets.set(secrets, sought);
  return sought;
}

/**
 * A text that the client or the upstream had a hand in, so it may hold anything, an injected secret included: at most `limit` characters of it, free of
 * the secrets; what was cut ends in `…`.
 */
export function foreignText(text: string, limit: number, { values, shortest }: Sought): string {
  if (text.length < shortest) return cut(text, limit);
  // One character more than fits, so that a text that goes on is still seen to go on.
  return cut(redactSecrets(text, values, limit + 1), limit);
}

/** A text of at most `limit` characters; what was cut ends in `…`. */
export function cut(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}
