import type { Secret } from '@sallyport/sdk';
import { SUPERSEDED_LIMIT } from '../stores/token-record-json.js';
import type { TokenRecord } from '../stores/token-store.js';

/** A token that was presented, and what the server issued for it. */
export interface Rotation {
  readonly presented: Secret;
  /** Differs from `presented`. */
  readonly successor: Secret;
  /** Who held the lease while the token was presented; null when there was none. */
  readonly owner: string | null;
}

/** True when both hold the same text. */
export function sameSecret(a: Secret, b: Secret): boolean {
  return a.reveal() === b.reveal();
}

/**
 * The record with the successor in it, whatever happened to the record since the token was presented; null when nothing has to be written.
 *
 * The lease keeps two processes from presenting one token at the same time; it cannot keep the one that was paused from coming back with an answer
 * after its lease had ended. The compare-and-set refuses that late write, which arrives here together with the record as it is now:
 *
 * - The record has the successor already, as current or as an earlier token: an earlier attempt to save it went through, only its answer was lost.
 * - The record still has the presented token: nobody got further. The successor takes its place. The lease of a sibling that took over stays, and so
 *   does its journal: it is presenting the old token right now, will find it refused, read again and go on with the successor.
 * - The record has some other token: a sibling's, or that of a person who onboarded again. Its owner saw the later state of the server, since ours
 *   was presented under a lease that had ended before it wrote; and a new grant is not to be replaced by a descendant of the old one. So it stays
 *   current, and ours is put with the superseded ones, where a person finds it. No token is dropped in any case.
 */
export function withRotation(record: TokenRecord, { presented, successor, owner }: Rotation): TokenRecord | null {
  const settled = owner === null ? null : withoutLease(record, owner, null);
  const base = settled ?? record;
  const known = [base.refreshToken, ...base.superseded].some((token) => sameSecret(token, successor));
  if (known) return settled;
  if (sameSecret(base.refreshToken, presented)) return { ...base, refreshToken: successor, superseded: superseded(presented, base.superseded) };
  return { ...base, superseded: superseded(successor, base.superseded) };
}

/** The record without the lease of that owner and with that journal; null when he does not hold it any more, and nothing has to be written. */
export function withoutLease(record: TokenRecord, owner: string, unknownSince: number | null): TokenRecord | null {
  return record.lease?.owner === owner ? { ...record, lease: null, unknownSince } : null;
}

/** The record after a person brought a new token: the one before it is superseded, and what is unknown about it does not matter any more. */
export function withNewToken(record: TokenRecord, refreshToken: Secret): TokenRecord {
  const earlier = sameSecret(record.refreshToken, refreshToken) ? record.superseded : superseded(record.refreshToken, record.superseded);
  return { refreshToken, superseded: earlier, lease: null, unknownSince: null };
}

function superseded(first: Secret, rest: readonly Secret[]): readonly Secret[] {
  return [first, ...rest.filter((token) => !sameSecret(token, first))].slice(0, SUPERSEDED_LIMIT);
}
