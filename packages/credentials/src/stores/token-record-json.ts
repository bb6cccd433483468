import { Secret } from '@sallyport/sdk';
import { isObject, parseObject } from '../json-object.js';
import type { RefreshLease, TokenRecord } from './token-store.js';

/** How many earlier tokens a record keeps. */
export const SUPERSEDED_LIMIT = 8;

/**
 * The record as JSON text, the same text for the same record: `version` (1), `refresh_token`, `superseded`, `lease` (`owner`, `expires_at`) and
 * `unknown_since`, with times in milliseconds since the epoch. It holds the tokens in the clear.
 */
export function encodeRecord({ refreshToken, superseded, lease, unknownSince }: TokenRecord): string {
  return JSON.stringify({
    version: 1,
    refresh_token: refreshToken.reveal(),
    superseded: superseded.map((token) => token.reveal()),
    lease: lease === null ? null : { owner: lease.owner, expires_at: lease.expiresAt },
    unknown_since: unknownSince,
  });
}

/** What `encodeRecord` wrote, further members ignored; null when the text is anything else. */
export function decodeRecord(text: string): TokenRecord | null {
  const value = parseObject(text);
  if (value?.version !== 1 || !isToken(value.refresh_token)) return null;
  const { superseded, unknown_since: unknownSince } = value;
  if (!Array.isArray(superseded) || !superseded.every(isToken)) return null;
  if (unknownSince !== null && !isTime(unknownSince)) return null;
  const lease = value.lease === null ? null : leaseOf(value.lease);
  if (lease === undefined) return null;
  const earlier = superseded.slice(0, SUPERSEDED_LIMIT).map((token) => new Secret(token));
  return { refreshToken: new Secret(value.refresh_token), superseded: earlier, lease, unknownSince };
}

/** The record of a token that nobody has refreshed yet. */
export function freshRecord(refreshToken: Secret): TokenRecord {
  return { refreshToken, superseded: [], lease: null, unknownSince: null };
}

function leaseOf(value: unknown): RefreshLease | undefined {
  if (!isObject(value) || typeof value.owner !== 'string' || !isTime(value.expires_at)) return undefined;
  return { owner: value.owner, expiresAt: value.expires_at };
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
